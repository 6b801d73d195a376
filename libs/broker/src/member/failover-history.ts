/**
 * The last times this member took over the lead, and where the time went, so that they can be looked at after it was
 * restarted:
 *
 *   failovers     JSON, the oldest first; replaced as a whole
 *
 * Told to people and nothing else: what can't be read or written is warned of, and keeps nobody waiting. With what the other
 * members of the set tell it is the history of the set.
 */
import { failoverFromWire, type FailoverPhases } from '@cometmq/client';
import { internal } from '@cometmq/proto';
import { failureFacts, MqError, OneByOne } from '@cometmq/shared';
import { joinPath, readWhole, replaceFile, type Disk } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

/** Of each member. */
export const failoversMax = 50;

export class FailoverHistory {
  private known: readonly FailoverPhases[] = [];
  private since: FailoverPhases | undefined;
  private readonly writes = new OneByOne();
  private readonly path: string;

  constructor(
    private readonly disk: Disk,
    folder: string,
    private readonly log: Logger,
  ) {
    this.path = joinPath(folder, 'failovers');
  }

  /** The oldest first. */
  get all(): readonly FailoverPhases[] {
    return this.known;
  }
  /** Since this process began. */
  get last(): FailoverPhases | undefined {
    return this.since;
  }

  async open(): Promise<void> {
    try {
      const stored = await readWhole(this.disk, this.path);
      if (stored) this.known = failoversOf(JSON.parse(stored.toString()));
    } catch (caught) {
      this.log.warn(failureFacts(caught), 'earlier changes of the leader are not known any more');
    }
  }

  note(failover: FailoverPhases): void {
    this.since = failover;
    this.known = [...this.known, failover].slice(-failoversMax);
    void this.writes.take(() => this.write());
  }

  /** What was noted is written. */
  async close(): Promise<void> {
    await this.writes.done;
  }

  private async write(): Promise<void> {
    try {
      await replaceFile(this.disk, this.path, [Buffer.from(JSON.stringify(this.known))]);
    } catch (caught) {
      this.log.warn(failureFacts(caught), 'this change of the leader is not remembered after a restart');
    }
  }
}

function failoversOf(stored: unknown): FailoverPhases[] {
  const list = Array.isArray(stored) ? (stored as readonly Partial<internal.FailoverPhases>[]) : [undefined];
  const known = list.map((each) => internal.FailoverPhases.fromPartial(each ?? {}));
  if (known.some(({ reason, ...figures }) => reason === '' || !Object.values(figures).every(Number.isFinite))) {
    throw new MqError('CORRUPT_RECORD', 'the file "failovers" of the data folder does not say what it should');
  }
  return known.slice(-failoversMax).map(failoverFromWire);
}
