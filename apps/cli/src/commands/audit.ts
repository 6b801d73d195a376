import type { Command } from 'commander';
import type { AuditRecordView } from '@cometmq/admin';

import type { View } from '../printer.js';
import { examples, wholeNumber, type Act } from '../session.js';

const shown = (part: unknown): string => (part === undefined ? '' : JSON.stringify(part));

const auditView: View<AuditRecordView> = {
  name: ({ id }) => String(id),
  columns: [
    { title: 'WHEN', value: ({ time }) => time },
    { title: 'WHO', value: ({ user = '-' }) => user },
    { title: 'FROM', value: ({ from }) => from },
    { title: 'DID', value: ({ operation }) => operation },
    { title: 'TO', value: ({ target }) => shown(target) },
    { title: 'DECISION', value: ({ decision }) => decision },
    { title: 'REASON', value: ({ reason = '' }) => reason },
    { title: 'BY', wide: true, value: ({ how }) => how },
    { title: 'BEFORE', wide: true, value: ({ before }) => shown(before) },
    { title: 'AFTER', wide: true, value: ({ after }) => shown(after) },
    { title: 'REQUEST', wide: true, value: ({ requestId = '' }) => requestId },
  ],
};

interface Wanted {
  readonly user?: string;
  readonly operation?: string;
  readonly decision?: string;
  readonly max: number;
}

export function auditCommands(comet: Command, act: Act): void {
  const audit = comet
    .command('audit')
    .description('Show who did what: changes, refusals and looks at messages, newest first.')
    .option('--user <name>', 'only what this user did')
    .option('--operation <name>', 'only this operation, such as deleteTopic or SendMessage')
    .option('--decision <what>', 'only what was done, failed or refused')
    .option('--max <n>', 'show at most this many', wholeNumber(1, 1_000_000), 100)
    .action(
      act(async (session, { max, ...wanted }: Wanted) => {
        session.printer.list(auditView, await session.api().list<AuditRecordView>('/audit', wanted, max));
      }),
    );
  examples(audit, 'comet audit', 'comet audit --decision refused', 'comet audit --user ada -o wide');
}
