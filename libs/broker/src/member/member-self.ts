/**
 * What the parts of a member share: who it is, what it knows, what it does now. Each part changes of it what is its own
 * reason; what concerns the member as a whole it asks for by `MemberMoves`.
 */
import type { KnownLeader, MemberClaim } from '@cometmq/client';
import {
  type Epoch,
  type LogOutline,
  type LogTail,
  type MemberId,
  memberId,
  type SetState,
  type StandReason,
} from '@cometmq/model';
import { assert, type MqError, OneByOne } from '@cometmq/shared';

import { EndedLead } from './ended-lead.js';
import type { Leading } from './leading.js';
import type { MemberParts } from './member-parts.js';
import type { Role } from './roles.js';
import { asKnownLeader, SetKnowledge } from './set-knowledge.js';
import { TermNotes } from './term-notes.js';
import { TurnToStand } from './turn-to-stand.js';

export const noEpoch = 0 as Epoch;

export interface MemberMoves {
  /** From now on, until it stands or leads. `becoming`: until then the store is not a follower's. */
  follow(becoming?: Promise<void>): void;
  /** For this reason, if there is one, and nothing speaks against it. */
  stand(reason: StandReason | undefined): void;
  /** The term is over. `tellInMs`: when to tell the registry so, as far as nobody has taken the lead by then. */
  depose(why: string, tellInMs?: number): void;
  /** For good: the process ends. */
  fail(why: MqError): void;
  /** Asks the registry how the set is now. */
  look(): void;
  /** Somebody has said how the set is now. */
  seen(state: SetState): void;
  /** It leads, and decides. */
  leads(): void;
  /** Whatever it did before is over. */
  dropRole(why: MqError | undefined): void;
}

export class MemberSelf {
  role: Role = { is: 'opening' };
  readonly knowledge = new SetKnowledge(undefined, noEpoch);
  readonly notes: TermNotes;
  readonly turn: TurnToStand;
  readonly ended: EndedLead;
  /** What changes the log or what was folded of it, other than records of the leader, is done by one at a time. */
  readonly turns = new OneByOne();
  /** Whom it follows; undefined: nobody has told it from where to read. */
  attachedTo: KnownLeader | undefined;
  noLeaderSinceMs: number;
  /** What was said of the snapshot that is being copied; undefined: none is. */
  copying: string | undefined;
  stopped = false;
  /** It has found its place once. */
  started = false;
  private id: MemberId | undefined;

  constructor(readonly parts: MemberParts) {
    const { store, settings, registry, clock, log } = parts;
    this.notes = new TermNotes(store);
    this.turn = new TurnToStand(settings, clock, this.knowledge);
    const epoch = (): Epoch | undefined => this.knowledge.state?.epoch;
    this.ended = new EndedLead({ registry, clock, log, epoch, claim: () => this.claim() });
    this.noLeaderSinceMs = clock.monotonicMs();
  }

  /** Its store is open: who it is, and what it knew when it ended. */
  opened(): void {
    const { store, settings } = this.parts;
    this.notes.read();
    this.id = memberId(`${settings.place}/${store.incarnation}`);
    const { state, promised } = this.notes;
    if (state) this.knowledge.saw(state);
    this.knowledge.hear(Math.max(promised.epoch, store.epoch) as Epoch);
  }

  get me(): MemberId {
    assert(this.id !== undefined, 'a member that was opened has an id');
    return this.id;
  }
  get isOpened(): boolean {
    return this.id !== undefined;
  }
  get leading(): Leading | undefined {
    return this.role.is === 'leading' ? this.role.leading : undefined;
  }
  get knownLeader(): KnownLeader | undefined {
    if (this.role.is === 'leading' && !this.role.leading.isOver) {
      return { member: this.me, address: this.parts.settings.address(), epoch: this.role.leading.epoch };
    }
    if (this.attachedTo) return this.attachedTo;
    const [likely] = this.id === undefined ? [] : this.knowledge.leaders(this.me);
    return likely && asKnownLeader(likely);
  }

  claim(): MemberClaim {
    const { settings, store, metadata } = this.parts;
    const { brokerSet, leaseMs, address } = settings;
    const { epoch, appendEnd: end } = store;
    return {
      ...{ brokerSet, member: this.me, address: address(), bootId: store.term.bootId, leaseMs },
      ...(epoch > 0 && { log: { epoch, end, metadata: metadata() } }),
    };
  }

  outline(): LogOutline {
    const { epochs, appendEnd: end } = this.parts.store;
    return { epochs, end };
  }
  tail(): LogTail {
    const { epochs, appendEnd: end } = this.parts.store;
    return { lastEpoch: epochs.at(-1)?.epoch ?? noEpoch, end };
  }

  otherAddresses(): string[] {
    const members = this.knowledge.state?.members ?? [];
    const others = members.filter((member) => member !== this.id);
    return others.map((member) => this.knowledge.addressOf(member)).filter((address) => address !== undefined);
  }
}
