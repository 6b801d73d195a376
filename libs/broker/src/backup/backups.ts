/**
 * Backups of this broker's log and state, made and read while it leads: one thing at a time, in the background. What is in
 * the bucket is the truth; what is said here of a run is gone with the process.
 */
import {
  backupIdPattern,
  backupMsOf,
  type BackupSource,
  Catalogue,
  type Keep,
  type Manifest,
  type ObjectStore,
  runBackup,
} from '@cometmq/backup';
import type { BackupAdmin, BackupFacts, BackupJob, BackupJobKind, SetBackups } from '@cometmq/client';
import { assert, type Clock, type Component, failureFacts, MqError, sleep, type Timer } from '@cometmq/shared';
import type { PinnedSnapshot, StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { MetadataView } from '../metadata-view.js';

export interface BackedUpBroker {
  readonly leads: boolean;
  readonly store: Pick<StorePorts, 'snapshots' | 'epoch' | 'lastTimestampMs' | 'incarnation'>;
  readonly metadata: Pick<MetadataView, 'version' | 'topics' | 'groups'>;
}

export interface BackupParts {
  readonly broker: BackedUpBroker;
  /** Undefined: there is none. */
  readonly bucket: ObjectStore | undefined;
  readonly brokerSet: string;
  /** The release of this process. */
  readonly release: string;
  readonly bytesPerSecond: number;
  readonly keep: Keep;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface BackupFigures {
  /** Since the newest whole backup in the bucket was begun; where none is known of, since this process was started. */
  readonly ageMs: number;
  readonly failures: number;
  readonly bytesSent: number;
  readonly running: boolean;
}

const lookEveryMs = 10 * 60_000;

export class Backups implements BackupAdmin, Component {
  readonly name = 'backups';
  private readonly catalogue: Catalogue | undefined;
  private job: BackupJob | undefined;
  private running: Promise<void> | undefined;
  private stopped = false;
  private timer: Timer | undefined;
  private lastMs: number | undefined;
  private readonly startedMs: number;
  private failures = 0;
  private bytesSent = 0;

  constructor(private readonly parts: BackupParts) {
    this.catalogue = parts.bucket && new Catalogue(parts.bucket, parts.brokerSet);
    this.startedMs = parts.clock.wallMs();
  }

  /** Undefined: there is no bucket. */
  get figures(): BackupFigures | undefined {
    const { lastMs, startedMs, failures, bytesSent, running } = this;
    const ageMs = Math.max(0, this.parts.clock.wallMs() - (lastMs ?? startedMs));
    return this.catalogue && { ageMs, failures, bytesSent, running: running !== undefined };
  }

  start(): Promise<void> {
    if (this.catalogue) this.look(this.catalogue);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    this.parts.bucket?.close();
    await this.running;
  }

  begin(brokerSet: string, id: string): Promise<void> {
    const { parts } = this;
    return this.inBackground('backup', brokerSet, id, async (catalogue, bucket, stopped) => {
      const pinned = await parts.broker.store.snapshots.pin();
      try {
        const { brokerSet: set, clock, bytesPerSecond } = parts;
        const onProgress = (done: Partial<BackupJob>): void => this.tell(done);
        const options = { store: bucket, clock, brokerSet: set, id, bytesPerSecond, stopped, onProgress };
        const { takenMs, bytes, newBytes, end, tookMs } = await runBackup(this.sourceOf(pinned), options);
        this.lastMs = takenMs;
        parts.log.info({ backup: id, bytes, newBytes, end, tookMs }, 'a backup was made');
      } finally {
        await pinned.release();
      }
      const swept = await catalogue.sweep(parts.keep, parts.clock.wallMs());
      if (swept.backups.length + swept.objects > 0) parts.log.info(swept, 'old backups were given up');
      return [];
    });
  }

  verify(brokerSet: string, id: string): Promise<void> {
    const { clock, bytesPerSecond } = this.parts;
    return this.inBackground('verification', brokerSet, id, async (catalogue, _bucket, stopped) => {
      const manifest = await catalogue.manifest(id);
      let bytesDone = 0;
      return catalogue.verify(manifest, async (bytes) => {
        const why = stopped();
        if (why) throw why;
        bytesDone += bytes;
        this.tell({ bytesDone, bytesTotal: manifest.bytes });
        await sleep(clock, (1_000 * bytes) / bytesPerSecond);
      });
    });
  }

  async list(brokerSet: string, max: number): Promise<SetBackups> {
    const { catalogue } = this.ground(brokerSet);
    const backups: BackupFacts[] = [];
    const ids = max === 0 ? [] : (await catalogue.ids()).slice(-max);
    for await (const manifest of catalogue.manifests(ids)) backups.push(factsOf(manifest));
    return { backups, job: this.job };
  }

  /** One at a time; resolves when it has begun. */
  private async inBackground(
    kind: BackupJobKind,
    brokerSet: string,
    id: string,
    act: (catalogue: Catalogue, bucket: ObjectStore, stopped: () => MqError | undefined) => Promise<string[]>,
  ): Promise<void> {
    const { catalogue, bucket } = this.ground(brokerSet);
    const { broker, clock } = this.parts;
    if (!backupIdPattern.test(id)) {
      throw new MqError('BAD_REQUEST', `"${id}" names no backup: a name is a time, as 20261130T040000Z`);
    }
    if (!broker.leads) throw new MqError('NOT_LEADER', 'this member does not lead');
    if (this.running) {
      throw new MqError(
        'CONFLICT',
        `the ${this.job?.kind ?? ''} ${this.job?.id ?? ''} of ${brokerSet} is not over yet`,
      );
    }
    const none = { endedMs: undefined, failure: undefined, problems: [] };
    this.job = { kind, id, startedMs: clock.wallMs(), bytesDone: 0, bytesTotal: 0, newBytes: 0, ...none };
    const stopped = (): MqError | undefined => {
      if (this.stopped) return new MqError('CANCELLED', 'the broker stops');
      return broker.leads ? undefined : new MqError('NOT_LEADER', 'another member leads now');
    };
    this.running = act(catalogue, bucket, stopped)
      .then((problems) => this.tell({ problems, endedMs: clock.wallMs() }))
      .catch((caught: unknown) => this.failed(caught))
      .finally(() => (this.running = undefined));
    await Promise.resolve();
  }

  private tell(more: Partial<BackupJob>): void {
    if (!this.job) return;
    if (this.job.kind === 'backup') this.bytesSent += Math.max(0, (more.newBytes ?? 0) - this.job.newBytes);
    this.job = { ...this.job, ...more };
  }

  private failed(caught: unknown): void {
    const error = MqError.from(caught);
    this.failures += 1;
    this.tell({ failure: error.reason, endedMs: this.parts.clock.wallMs() });
    this.parts.log.error({ ...failureFacts(error), backup: this.job?.id }, `a ${this.job?.kind ?? 'backup'} failed`);
  }

  private ground(brokerSet: string): { readonly catalogue: Catalogue; readonly bucket: ObjectStore } {
    const { catalogue } = this;
    const { bucket, brokerSet: own } = this.parts;
    if (brokerSet !== own) throw new MqError('NOT_FOUND', `this is broker set "${own}", not "${brokerSet}"`);
    if (catalogue && bucket) return { catalogue, bucket };
    throw new MqError('UNSUPPORTED', `${own} has no place for backups: set backupTo of its brokers (docs/backup.md)`);
  }

  private sourceOf(pinned: PinnedSnapshot): BackupSource {
    const { broker, release } = this.parts;
    const { store, metadata } = broker;
    const { position, end } = pinned.facts;
    const byName = new Map(pinned.facts.files.map((file) => [`${file.folder}/${file.name}`, file]));
    const version = metadata.version;
    return {
      point: {
        ...{ release, member: store.incarnation, epoch: store.epoch, position, end, lastMs: store.lastTimestampMs },
        ...(version && { cluster: { id: version.clusterId, generation: version.generation } }),
        topics: [...metadata.topics.ids()].length,
        groups: [...metadata.groups.ids()].length,
      },
      facts: pinned.facts,
      files: [...byName].map(([name, file]) => ({ name, bytes: file.bytes, version: pinned.versionOf(file) })),
      read: ({ name }) => {
        const file = byName.get(name);
        assert(file !== undefined, 'a backup reads files of its own snapshot');
        return pinned.read(file);
      },
    };
  }

  /** Others may have led, and made backups. */
  private look(catalogue: Catalogue): void {
    if (this.stopped) return;
    void catalogue
      .ids()
      .then((ids) => {
        const lastMs = backupMsOf(ids.at(-1) ?? '');
        if (lastMs !== undefined) this.lastMs = Math.max(lastMs, this.lastMs ?? 0);
      })
      .catch((caught: unknown) =>
        this.parts.log.warn(failureFacts(caught), 'the bucket of backups can not be looked at'),
      );
    this.timer = this.parts.clock.after(lookEveryMs, () => this.look(catalogue));
  }
}

function factsOf({ files: _files, facts: _facts, format: _format, brokerSet: _set, ...rest }: Manifest): BackupFacts {
  return rest;
}
