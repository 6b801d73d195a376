/**
 * Before a broker opens its data folder: fills it from a backup, if it is empty and this is wanted. A folder that was
 * restored so before is left as it is, so that the same setting may stay while the process is started again and again.
 */
import {
  type BackupFile,
  backupIdOf,
  Catalogue,
  type Manifest,
  type ObjectStore,
  restoreWordOf,
} from '@cometmq/backup';
import { assert, type Clock, type Component, MqError } from '@cometmq/shared';
import { folderHolds, type FolderPlace, joinSnapshots, restoreFolder, type SnapshotFacts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

export interface RestoreParts {
  readonly place: FolderPlace;
  readonly bucket: ObjectStore | undefined;
  /** "latest", the name of a backup or a moment; empty: nothing is restored. */
  readonly wanted: string;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Plan {
  /** Kept in the folder. */
  readonly name: string;
  readonly base: Manifest;
  readonly next: Manifest | undefined;
  readonly untilMs: number | undefined;
}

export class RestoreAtStart implements Component {
  readonly name = 'restore';

  constructor(private readonly parts: RestoreParts) {}

  async start(): Promise<void> {
    const { place, bucket, wanted, clock, log } = this.parts;
    if (wanted === '' || !bucket) return;
    const { log: holdsLog, restoredFrom } = await folderHolds(place);
    if (holdsLog) {
      this.checkRestored(restoredFrom);
      log.info({ restoredFrom }, 'the data folder was restored before, and goes on: restoreFrom may be taken away');
      return;
    }
    const catalogue = new Catalogue(bucket, place.brokerName);
    const { name, base, next, untilMs } = await this.plan(catalogue);
    const { bytes, takenMs } = base;
    log.warn({ backup: base.id, bytes, takenMs, untilMs }, 'the data folder is empty: it is restored from a backup');
    const startedMs = clock.monotonicMs();
    const given = base.facts as SnapshotFacts;
    const facts = next ? joinSnapshots(given, [next.facts as SnapshotFacts]) : given;
    const files = new Map<string, BackupFile>();
    for (const file of [...(next?.files ?? []), ...base.files]) files.set(`${file.name} ${file.bytes}`, file);
    const info = await restoreFolder(place, {
      name,
      facts,
      untilMs,
      read: (wantedFile) => {
        const file = files.get(`${wantedFile.folder}/${wantedFile.name} ${wantedFile.bytes}`);
        assert(file !== undefined, 'a manifest names each file of its snapshot');
        return catalogue.read(file);
      },
    });
    log.warn(
      {
        backup: base.id,
        untilMs,
        end: info.end,
        bytes: info.bytes,
        tookMs: Math.round(clock.monotonicMs() - startedMs),
      },
      'restored: what was sent and consumed after that moment is not here',
    );
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws MqError NOT_FOUND */
  private async plan(catalogue: Catalogue): Promise<Plan> {
    const word = restoreWordOf(this.parts.wanted);
    assert(word !== undefined, 'settings were checked');
    switch (word.kind) {
      case 'moment':
        return { name: nameOf(word.ms), ...(await catalogue.around(word.ms)), untilMs: word.ms };
      case 'backup':
        return { name: word.id, base: await catalogue.manifest(word.id), next: undefined, untilMs: undefined };
      default: {
        const base = await catalogue.newest();
        return { name: base.id, base, next: undefined, untilMs: undefined };
      }
    }
  }

  /** @throws MqError DATA_FOLDER */
  private checkRestored(from: string | undefined): void {
    const { place, wanted } = this.parts;
    const where = place.disk.realPath(place.folder);
    const word = restoreWordOf(wanted);
    const name = word?.kind === 'moment' ? nameOf(word.ms) : wanted;
    if (from !== undefined && (word?.kind === 'latest' || from === name)) return;
    const what = from === undefined ? 'a log of its own' : `what was restored from ${from}`;
    throw new MqError(
      'DATA_FOLDER',
      `${where} holds ${what}, and restoreFrom=${wanted} is for an empty folder: nothing was changed. Take restoreFrom away to go on ` +
        'with what is there, or name an empty folder',
    );
  }
}

/** Of a moment between backups. */
function nameOf(ms: number): string {
  return `${backupIdOf(ms)} (${ms})`;
}
