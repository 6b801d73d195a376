import type { PeerDigest, Peers } from '@cometmq/client';
import type { LogPosition } from '@cometmq/model';
import { type Clock, failureFacts, MqError, type Timer } from '@cometmq/shared';
import type { LogDigest, StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

/** So much is looked at in a step, so often: little beside what a disk and a core do meanwhile. */
const stepBytes = 32 * 1024 * 1024;
const stepMs = 30_000;

export interface ComparingParts {
  readonly brokerSet: string;
  readonly store: StorePorts;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the other members of the set, as far as they are known. */
  readonly others: () => readonly string[];
}

/** A range of which two members hold other records. */
export interface Difference {
  readonly from: LogPosition;
  readonly end: LogPosition;
  /** The other member's address. */
  readonly address: string;
}

export function differenceText({ from, end, address }: Difference): string {
  return `its log differs from that of the member at ${address} between positions ${from} and ${end}`;
}

/**
 * Members of a set have the same committed records, by construction; whether that holds is looked at all the same. Range by
 * range, again and again, this member's digest is held against another one's. What differs is told once, and stays an alarm
 * until the process ends: nobody can say which of the two is right, but a third member.
 */
export class Comparing {
  private timer: Timer | undefined;
  private step: Promise<void> | undefined;
  private stopped = false;
  private next = 0 as LogPosition;
  private turn = 0;
  private found: Difference | undefined;

  constructor(private readonly parts: ComparingParts) {
    this.later();
  }

  get difference(): Difference | undefined {
    return this.found;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.step;
  }

  private later(): void {
    if (this.stopped) return;
    this.timer = this.parts.clock.after(stepMs, () => {
      this.step = this.look()
        .catch((caught: unknown) =>
          this.parts.log.warn(failureFacts(caught), 'members could not be compared; trying again'),
        )
        .finally(() => {
          this.step = undefined;
          this.later();
        });
    });
  }

  private async look(): Promise<void> {
    const { store, others } = this.parts;
    const addresses = others();
    const address = addresses[this.turn % addresses.length];
    if (address === undefined) return;
    const { repairs, commitEnd } = store;
    if (this.next >= commitEnd) {
      this.next = repairs.wholeFrom; // From the start again, with the next member.
      this.turn += 1;
      return;
    }
    const from = Math.max(this.next, repairs.wholeFrom) as LogPosition;
    const end = Math.min(commitEnd, from + stepBytes) as LogPosition;
    const mine = await this.digest(from, end);
    if (mine === 'damaged') {
      this.next = repairs.segmentBehind(from) ?? commitEnd; // What stands there can be compared all the same.
      return;
    }
    if (!mine || mine.records === 0) return;
    const theirs = await this.ask(address, from, mine);
    if (theirs?.digest === undefined) {
      this.next = Math.max(mine.end, theirs?.wholeFrom ?? 0) as LogPosition;
      return;
    }
    const { records, sum } = theirs.digest;
    if (records !== mine.records || sum !== mine.sum) this.differs({ from, end: mine.end, address });
    this.next = mine.end;
  }

  /** What can't be read here is told as damage, mended from others, or given up; then it is nothing to be compared. */
  private async digest(from: LogPosition, end: LogPosition): Promise<LogDigest | 'damaged' | undefined> {
    try {
      return await this.parts.store.repairs.digest(from, end);
    } catch (caught) {
      if (caught instanceof MqError && caught.code === 'CORRUPT_RECORD') return 'damaged';
      throw caught;
    }
  }

  /** Undefined: there is nothing to compare with now. */
  private async ask(address: string, from: LogPosition, mine: LogDigest): Promise<PeerDigest | undefined> {
    const { brokerSet, peers } = this.parts;
    try {
      return await peers.peer(address).digest(brokerSet, from, mine.end);
    } catch (caught) {
      // It is away, lags, or finds damage of its own, which it mends.
      if (caught instanceof MqError) return undefined;
      throw caught;
    }
  }

  private differs(difference: Difference): void {
    const known = this.found;
    this.found = difference;
    if (known?.from === difference.from && known.address === difference.address) return;
    this.parts.log.error(
      difference,
      'two members of the set hold different records: their disks or their memory are not to be trusted',
    );
  }
}
