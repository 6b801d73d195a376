/** A broker set as the route knows it: one leader takes writes. Members are named by (name, volume incarnation). */
export interface BrokerSet {
  readonly name: string;
  readonly epoch: number;
  /** host:port of the leader's internal service; undefined while nobody leads. */
  readonly leader?: string | undefined;
  /** The member that leads, "name/incarnation". */
  readonly leaderMember?: string | undefined;
  /** Those whose word counts, in order of their names. */
  readonly members: readonly SetMember[];
  /** How many of them must have a record for it to be committed. */
  readonly quorum: number;
  /** Members that keep up, as the leader says. */
  readonly inSync: readonly string[];
  /** False: takes no new messages (draining, or its disk is full). */
  readonly writable: boolean;
  readonly stage: BrokerSetStage;
  /** It drains, and began to while it was joining: it takes no message groups. */
  readonly groupless?: true | undefined;
  readonly registeredMs: number;
}

export interface SetMember {
  readonly member: string;
  /** host:port of its internal service; `local` where it is this process; empty: not known. */
  readonly address: string;
}

/**
 * `joining`: takes messages, and no message groups yet: theirs stay where they are until the other sets have handed them out.
 * `draining`: takes those of message groups only. `gone`: in no route any more.
 */
export type BrokerSetStage = (typeof brokerSetStages)[number];

/** Whether the set is in the routes of clients. */
export function isRouted({ stage }: Pick<BrokerSet, 'stage'>): boolean {
  return stage !== 'gone';
}

export const brokerSetStages = ['joining', 'serving', 'draining', 'gone'] as const;
