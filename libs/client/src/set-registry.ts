import type { Epoch, LogPosition, MemberId, MetadataVersion, SetRule, SetState, StandReason } from '@cometmq/model';

/**
 * Who belongs to which broker set and who leads it, as the name service keeps it. Every change compares the revision of
 * the set that it was decided on, which is what makes it safe; presences, which end with a lease, only notice silence.
 * Any of the equal instances answers, from the store itself and not from its copy.
 *
 * All methods: @throws MqError UNAVAILABLE (asking another instance or later may help), METADATA_MISMATCH (the metadata is
 * not the one that the log of the claimant belongs to), BAD_REQUEST
 */
export interface SetRegistry {
  readSet(brokerSet: string): Promise<SetReading>;
  /**
   * Writes the claimant into the set as its leader, where the set still has this revision (0: there is no such set, and the
   * claimant makes it). Also puts its presence. @returns undefined where it has another revision by now
   * Asked again with the same epoch it answers with what it has written.
   * @throws MqError CONFLICT while the presence of the current epoch's leader lives and the reason is neither `closed` nor
   * `handedOver`, or another process with this member id lives; DATA_FOLDER where the claimant is no member, or its log
   * lacks what the set is known to have
   */
  acquireLeadership(claim: MemberClaim, wanted: WantedLead): Promise<SetState | undefined>;
  /**
   * The leader is alive and makes progress; its presence ends `leaseMs` after the last one that showed progress.
   * @throws MqError NOT_LEADER when deposed, resigned, or replaced by another process with its member id
   */
  renewLeadership(claim: MemberClaim, kept: KeptLead): Promise<SetReading>;
  /** The leader goes on its own will: its presence ends. Who stands next need not wait for the lease. */
  resignLeadership(claim: MemberClaim, epoch: Epoch): Promise<void>;
  /**
   * Asked again it answers with what it has written.
   * @returns undefined where the set has another revision by now
   * @throws MqError NOT_LEADER; CONFLICT where a member that it takes in has another boot id by now, or none
   */
  changeMembers(claim: MemberClaim, wanted: WantedMembers): Promise<SetState | undefined>;
  /**
   * A member that does not lead is there, at this address; its presence ends `leaseMs` after the last one. Another boot id at
   * the same address is a restart and takes its place at once.
   * @throws MqError CONFLICT while another process with this member id lives at another address, or has taken its place; or,
   * for who is no member of the set yet, while another member of its place does
   */
  announceMember(claim: MemberClaim): Promise<SetReading>;
  /** It goes. */
  withdrawMember(claim: MemberClaim): Promise<void>;
}

/** Who speaks. */
/** The address of a member that is in one process with all that calls it, where nothing connects to it. */
export const localAddress = 'local';

export interface MemberClaim {
  /** The broker set's name, for instance `broker-0`. */
  readonly brokerSet: string;
  /** `<place>/<volume incarnation>`. */
  readonly member: MemberId;
  /** host:port of its internal service, reachable by proxies and by the other members; or `localAddress`. */
  readonly address: string;
  /** Of this start of its process: two processes with one member id are told apart by it. */
  readonly bootId: string;
  readonly leaseMs: number;
  /** Its log; left out while it is empty. */
  readonly log?: ClaimedLog | undefined;
}

export interface ClaimedLog {
  readonly epoch: Epoch;
  readonly end: LogPosition;
  /** The metadata under which it was written; undefined while no record says so. */
  readonly metadata?: MetadataVersion | undefined;
}

export interface WantedLead {
  readonly epoch: Epoch;
  readonly rule: SetRule;
  readonly revision: number;
  readonly reason: StandReason;
  /** So much is known to have been committed: it is in the log of who falls out by this. */
  readonly commitEnd?: LogPosition | undefined;
}

export interface KeptLead {
  readonly epoch: Epoch;
  readonly writable: boolean;
  /** Moves only when its event loop turned and a sync finished. */
  readonly progress: number;
  /** Members that keep up, for people and for the next hand-over. */
  readonly inSync: readonly MemberId[];
}

export interface WantedMembers {
  readonly epoch: Epoch;
  readonly rule: SetRule;
  readonly revision: number;
  /** Who falls out by this change, and what was committed then: so much is known to be in its log. */
  readonly left: readonly FormerMember[];
  /** Who is taken in, and the boot id of the session in which it has caught up. */
  readonly joined?: readonly JoinedMember[] | undefined;
}

export interface JoinedMember {
  readonly member: MemberId;
  readonly bootId: string;
}

export interface FormerMember {
  readonly member: MemberId;
  readonly commitEnd: LogPosition;
}

/** What the store has of a broker set at one moment. */
export interface SetReading {
  /** Of the store behind the name service (etcd's cluster id, the embedded store's own): another one knows nothing of this log. */
  readonly storeId: string;
  /** Of the metadata; rises when what was lost was brought back from members' logs. */
  readonly generation: number;
  /** Undefined: nobody has made it. */
  readonly state: SetState | undefined;
  /** Whose presence lives: the leader's of the current epoch, and the members'. */
  readonly present: readonly PresentMember[];
  readonly former: readonly FormerMember[];
  /**
   * Knows a later state of the set than this one: the metadata was set back, and nobody takes the set over before what the
   * members know is brought back. Undefined: nobody has said so.
   */
  readonly doubtedBy?: MemberId | undefined;
}

export interface PresentMember {
  readonly member: MemberId;
  readonly address: string;
  readonly bootId: string;
  /** It leads in this epoch; undefined: it does not lead. */
  readonly leads?: Epoch | undefined;
}

/** Under what a member last acted; it keeps this beside its log. */
export type KnownSet = Pick<SetReading, 'storeId' | 'generation'> & Pick<SetState, 'revision' | 'epoch'>;

/**
 * Why nobody may stand under what was read, in words; undefined: it goes on from what the member knows. Another store, an
 * earlier revision or an earlier epoch is an emptied, restored or foreign store; it counts again once an operator has had
 * the members' knowledge written to it, which raises the generation and gives the set an epoch above all of them.
 */
export function standsStill(known: KnownSet | undefined, reading: SetReading): string | undefined {
  if (!known) return undefined;
  const { storeId, generation, state } = reading;
  if (!state) return `the metadata does not know this set, which has had epoch ${known.epoch}`;
  if (generation > known.generation && state.epoch > known.epoch) return undefined;
  if (storeId !== known.storeId) return `the metadata store is ${storeId}, and the set belongs to ${known.storeId}`;
  if (generation < known.generation || state.revision < known.revision || state.epoch < known.epoch) {
    const was = `generation ${known.generation}, revision ${known.revision}, epoch ${known.epoch}`;
    return (
      `the metadata knows this set at generation ${generation}, revision ${state.revision}, epoch ${state.epoch}, and it has ` +
      `been at ${was}: it was set back to an older state`
    );
  }
  return undefined;
}
