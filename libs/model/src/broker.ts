/** A broker set as the route knows it: one leader takes writes. Members are named by (name, volume incarnation). */
export interface BrokerSet {
  readonly name: string;
  readonly epoch: number;
  /** host:port of the leader's internal service; undefined while nobody leads. */
  readonly leader?: string | undefined;
  /** The member that leads, "name/incarnation". */
  readonly leaderMember?: string | undefined;
  readonly inSync: readonly string[];
  /** False: takes no new messages (draining, or its disk is full). */
  readonly writable: boolean;
  readonly registeredMs: number;
}
