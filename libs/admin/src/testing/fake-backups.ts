import type { BackupAdmin, BackupFacts, BackupJob, BackupJobKind, SetBackups } from '@cometmq/client';
import { MqError } from '@cometmq/shared';

/** Brokers that make a backup as soon as they are asked to. */
export class FakeBackups implements BackupAdmin {
  readonly made = new Map<string, BackupFacts[]>();
  readonly jobs = new Map<string, BackupJob>();
  readonly verified: string[] = [];
  /** Set: why nothing can be begun. */
  refusal: MqError | undefined;
  /** Set: why what was begun failed. */
  failure: string | undefined;
  /** What is begun does not end. */
  goesOn = false;
  /** What a verification finds. */
  problems: readonly string[] = [];

  /** @param check throws for a set that does not answer */
  constructor(private readonly check: (brokerSet: string) => unknown) {}

  reset(): void {
    this.made.clear();
    this.jobs.clear();
    this.verified.length = 0;
    this.refusal = undefined;
    this.failure = undefined;
    this.goesOn = false;
    this.problems = [];
  }

  async begin(brokerSet: string, id: string): Promise<void> {
    this.check(brokerSet);
    if (this.refusal) throw this.refusal;
    const backup: BackupFacts = {
      ...{ id, takenMs: 1_000, tookMs: 20, bytes: 4_096, newBytes: 1_024, epoch: 1, end: 4_096, lastMs: 900 },
      ...{ topics: 1, groups: 1, release: '0.1.0', member: 'volume-1' },
    };
    if (this.failure === undefined) this.made.set(brokerSet, [backup, ...(this.made.get(brokerSet) ?? [])]);
    this.end(brokerSet, 'backup', id);
  }

  async verify(brokerSet: string, id: string): Promise<void> {
    this.check(brokerSet);
    if (!this.made.get(brokerSet)?.some((one) => one.id === id)) throw new MqError('NOT_FOUND', `no backup "${id}"`);
    this.verified.push(`${brokerSet} ${id}`);
    this.end(brokerSet, 'verification', id);
  }

  async list(brokerSet: string, max: number): Promise<SetBackups> {
    this.check(brokerSet);
    return { backups: (this.made.get(brokerSet) ?? []).slice(0, max), job: this.jobs.get(brokerSet) };
  }

  private end(brokerSet: string, kind: BackupJobKind, id: string): void {
    const { failure, problems, goesOn } = this;
    this.jobs.set(brokerSet, {
      ...{
        kind,
        id,
        startedMs: 1_000,
        endedMs: goesOn ? undefined : 1_020,
        bytesDone: 4_096,
        bytesTotal: 4_096,
        newBytes: 1_024,
      },
      ...{ failure, problems },
    });
  }
}
