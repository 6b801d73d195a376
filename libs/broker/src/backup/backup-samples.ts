import type { Sample } from '@cometmq/telemetry';

import type { BackupFigures } from './backups.js';

/** How backups of a set are, by its leader alone. Nothing where there is no bucket. */
export function* backupSamples(
  broker: { readonly leads: boolean },
  backups: { readonly figures: BackupFigures | undefined },
): Iterable<Sample> {
  const { figures } = backups;
  if (!figures || !broker.leads) return;
  yield { metric: 'rocketmq_backup_age', labels: {}, value: figures.ageMs / 1_000 };
  yield { metric: 'rocketmq_backup_running', labels: {}, value: figures.running ? 1 : 0 };
  yield { metric: 'rocketmq_backup_failures_total', labels: {}, value: figures.failures };
  yield { metric: 'rocketmq_backup_sent_bytes_total', labels: {}, value: figures.bytesSent };
}
