/** A broker set as the route knows it: one leader takes writes. Members are named by (name, volume incarnation). */
export interface BrokerSet {
  readonly name: string;
  readonly epoch: number;
  /** host:port of the leader's internal service; undefined while nobody leads. */
  readonly leader?: string | undefined;
  /** The member that leads, "name/incarnation". */
  readonly leaderMember?: string | undefined;
  readonly inSync: readonly string[];
  /** All that are there or belong to it, and where they are; left out: the leader alone. */
  readonly members?: readonly SetMember[] | undefined;
  /** False: takes no new messages (draining, or its disk is full). */
  readonly writable: boolean;
  readonly registeredMs: number;
}

export interface SetMember {
  readonly member: string;
  /** host:port of its internal service; empty: in this process, or not known. */
  readonly address: string;
}
