/**
 * A member of a set whose data folder is damaged where it can't be opened any more has of the others what it lost. Where
 * records of its log can't be read, any member may have them, whether or not somebody leads; else it takes the whole folder
 * anew of its leader. It stays the same member: the records are those that stood there, and whoever leads in the set's
 * current epoch has all that this one ever acknowledged.
 */
import { type PresentMember, type Peers, type SetReading, type SetRegistry, standsStill } from '@cometmq/client';
import type { SetState } from '@cometmq/model';
import { type Clock, failureFacts, MqError, sleep } from '@cometmq/shared';
import { DamagedLogError, type DamagedPart, type StorePorts, type TermNote } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

const againMs = 500;
/** Then the process ends, and says what is damaged. */
const patienceMs = 60_000;
/** Each costs a start: of a disk with more damage than that all is taken anew, where somebody leads. */
const partsMax = 16;

/** What is opened: the whole store, to whoever made it. */
type ClosedStore = Pick<StorePorts, 'term' | 'restore' | 'mendPart'> & { start(): Promise<void> };

export interface RestoreParts {
  readonly store: ClosedStore;
  readonly registry: SetRegistry;
  readonly peers: Peers;
  readonly brokerSet: string;
  /** The name of this member's place. */
  readonly place: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Damage that others can help with; not a folder that is in use, another broker's, or of another release. */
function isDamage(caught: unknown): caught is MqError {
  if (!(caught instanceof MqError)) return false;
  return caught.code === 'CORRUPT_RECORD' || (caught.code === 'DATA_FOLDER' && isDamage(caught.cause));
}

/** Opens the store, with the help of the other members where it is damaged. @throws MqError the damage, where nobody can help */
export async function startWithHelp(parts: RestoreParts): Promise<void> {
  let mendedTo = -1;
  let count = 0;
  for (;;) {
    try {
      await parts.store.start();
      return;
    } catch (caught) {
      if (!isDamage(caught)) throw caught;
      const part = caught instanceof DamagedLogError ? caught.part : undefined;
      // What was mended, and is damaged again, is not to be trusted with a second try.
      if (part && part.first <= mendedTo) throw caught;
      const help = new Help(parts, caught, part);
      if ((await help.get(count < partsMax)) === 'all') {
        await parts.store.start();
        return;
      }
      mendedTo = part?.first ?? mendedTo;
      count += 1;
    }
  }
}

/** What one damage is mended with. */
class Help {
  private readonly noted: TermNote;
  private readonly told = new Set<string>();

  constructor(
    private readonly parts: RestoreParts,
    private readonly damage: MqError,
    private readonly part: DamagedPart | undefined,
  ) {
    this.noted = parts.store.term.read();
  }

  /** Answers what was taken of another member. @throws MqError the damage, where nobody has it */
  async get(recordsFirst: boolean): Promise<'records' | 'all'> {
    const { registry, brokerSet, clock, log } = this.parts;
    log.error(failureFacts(this.damage), 'the data folder is damaged: what is lost is taken of another member');
    for (const endMs = clock.monotonicMs() + patienceMs; clock.monotonicMs() < endMs; await sleep(clock, againMs)) {
      try {
        const reading = await registry.readSet(brokerSet);
        const state = this.trusted(reading);
        const leader = state && this.leaderOf(reading, state);
        if ((recordsFirst || !leader) && (await this.takeRecords(reading, state))) return 'records';
        if (leader && (await this.takeAll(leader, state))) return 'all';
      } catch (caught) {
        this.tell(caught, 'the set could not be read; trying again');
      }
    }
    throw this.damage;
  }

  /** What they are shows in the log itself, whatever the metadata says; only at its end the set's epoch counts. */
  private async takeRecords({ present }: SetReading, state: SetState | undefined): Promise<boolean> {
    const { part } = this;
    const { store, peers, brokerSet, log } = this.parts;
    if (!part) return false;
    const { first, end } = part;
    const others = present.filter((one) => !this.isMine(one.member));
    others.sort((a, b) => Number(b.member === state?.leader) - Number(a.member === state?.leader));
    for (const { member, address } of others) {
      try {
        await store.mendPart(part, state?.epoch, peers.peer(address).segmentBytes(brokerSet, first, end, true));
        log.warn({ member, first, end }, 'damaged records of the log were taken of another member');
        return true;
      } catch (caught) {
        this.tell(caught, `the damaged records could not be taken of ${member}`);
      }
    }
    return false;
  }

  private async takeAll({ member, address }: PresentMember, { epoch }: SetState): Promise<boolean> {
    const { store, peers, brokerSet, log } = this.parts;
    try {
      const { position, bytes } = await store.restore(peers.peer(address).snapshot(brokerSet, epoch));
      log.warn({ leader: member, position, bytes }, 'the data folder was taken anew of the leader: it is whole again');
      return true;
    } catch (caught) {
      this.tell(caught, 'the data folder could not be taken anew of the leader yet; trying again');
      return false;
    }
  }

  /** Undefined: the metadata knows less than this member has seen. */
  private trusted(reading: SetReading): SetState | undefined {
    const why = standsStill(this.noted.acted, reading);
    if (why === undefined) return reading.state;
    this.tell(new MqError('METADATA_MISMATCH', why), 'nobody is believed to lead');
    return undefined;
  }

  /** Of the set's current epoch. */
  private leaderOf({ present }: SetReading, { leader, epoch }: SetState): PresentMember | undefined {
    if (this.isMine(leader)) return undefined;
    return present.find((one) => one.member === leader && one.leads === epoch);
  }

  private isMine(member: string): boolean {
    return member.startsWith(`${this.parts.place}/`);
  }

  /** The same is told once. */
  private tell(caught: unknown, what: string): void {
    const facts = failureFacts(caught);
    if (this.told.has(what + facts.reason)) return;
    this.told.add(what + facts.reason);
    this.parts.log.warn(facts, what);
  }
}
