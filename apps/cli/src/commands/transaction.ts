import type { Command } from 'commander';
import type { Missing, TransactionAuditView, TransactionView } from '@cometmq/admin';

import { timeText, type View } from '../printer.js';
import { examples, wholeNumber, type Act } from '../session.js';

const transactionPath = (id: string): string => `/transactions/${encodeURIComponent(id)}`;

const transactionView: View<TransactionView> = {
  name: ({ id }) => id,
  columns: [
    { title: 'SENT', value: ({ storedMs }) => timeText(storedMs) },
    { title: 'TOPIC', value: ({ topic }) => topic },
    { title: 'MESSAGE', value: ({ messageId }) => messageId },
    { title: 'CHECKS', value: ({ checks }) => checks },
    { title: 'LAST CHECK', value: ({ lastCheckMs }) => (lastCheckMs === 0 ? '' : timeText(lastCheckMs)) },
    { title: 'NEXT CHECK', value: ({ parked, nextCheckMs }) => (parked ? 'parked' : timeText(nextCheckMs)) },
    { title: 'ID', value: ({ id }) => id },
    { title: 'TAG', wide: true, value: ({ tag }) => tag },
    { title: 'BYTES', wide: true, value: ({ bytes }) => bytes },
    { title: 'BROKER SET', wide: true, value: ({ brokerSet }) => brokerSet },
  ],
};

const auditView: View<TransactionAuditView> = {
  name: ({ brokerSet, position }) => `${brokerSet}/${position}`,
  columns: [
    { title: 'WHEN', value: ({ atMs }) => timeText(atMs) },
    { title: 'WHO', value: ({ who }) => who },
    { title: 'DECIDED', value: ({ resolution }) => resolution },
    { title: 'TOPIC', value: ({ topic }) => topic },
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'POSITION', value: ({ position }) => position },
  ],
};

export function transactionCommands(comet: Command, act: Act): void {
  const transaction = comet
    .command('transaction')
    .description('Transactional messages that are neither committed nor rolled back.');
  examples(transaction, 'comet transaction ls', 'comet transaction commit <id> --who ada');

  const list = transaction
    .command('ls')
    .alias('list')
    .description('List open transactions, oldest first.')
    .option('--topic <name>', 'only messages of this topic')
    .option('--max <n>', 'list at most this many', wholeNumber(1, 1_000_000), 100)
    .action(
      act(async (session, { topic, max }: { topic?: string; max: number }) => {
        session.printer.list(
          transactionView,
          await session.api().list<TransactionView>('/transactions', { topic }, max),
        );
      }),
    );
  examples(list, 'comet transaction ls', 'comet transaction ls --topic payments -o wide');

  const describe = transaction
    .command('describe <id>')
    .description('Show one, by its id or by the transaction id that its sender got.')
    .action(
      act(async (session, id: string) => {
        session.printer.one(transactionView, await session.api().get<TransactionView>(transactionPath(id)));
      }),
    );
  examples(describe, 'comet transaction describe <id>');

  for (const [resolution, does, question] of [
    ['commit', 'Deliver its message, in place of its producer.', 'Deliver this message?'],
    ['rollback', 'Drop its message, in place of its producer.', 'Drop this message for good?'],
  ] as const) {
    const command = transaction
      .command(`${resolution} <id>`)
      .description(does)
      .option('--who <name>', 'name of the operator, kept in the history')
      .action(
        act(async (session, id: string, { who }: { who?: string }) => {
          await session.confirm(question);
          await session.api().call('POST', `${transactionPath(id)}/${resolution}`, who === undefined ? {} : { who });
          session.note(
            resolution === 'commit'
              ? 'the transaction is committed: the message is delivered'
              : 'the transaction is rolled back: the message is dropped',
          );
        }),
      );
    examples(command, `comet transaction ${resolution} <id> --who ada --yes`);
  }

  const audits = transaction
    .command('audits')
    .description('List the decisions of operators, newest first.')
    .action(
      act(async (session) => {
        const api = session.api();
        const { items, missing } = await api.get<{
          items: TransactionAuditView[];
          missing: readonly Missing[];
        }>('/transactions/audits');
        api.tellMissing(missing);
        session.printer.list(auditView, items);
      }),
    );
  examples(audits, 'comet transaction audits');
}
