import type { Command } from 'commander';
import type { DelayedView } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { aboutText, timeText, type View } from '../printer.js';
import { durationMs, examples, wholeNumber, type Act } from '../session.js';

const delayedPath = (id: string): string => `/delayed/${encodeURIComponent(id)}`;

const delayedView: View<DelayedView> = {
  name: ({ id }) => id,
  columns: [
    { title: 'DUE', value: ({ dueMs }) => timeText(dueMs) },
    { title: 'TOPIC', value: ({ topic }) => topic },
    { title: 'MESSAGE', value: ({ messageId }) => messageId },
    { title: 'TAG', value: ({ tag }) => tag },
    { title: 'ID', value: ({ id }) => id },
    { title: 'DELAY', wide: true, value: ({ dueMs, storedMs }) => aboutText(Math.max(0, dueMs - storedMs)) },
    { title: 'SENT', wide: true, value: ({ storedMs }) => timeText(storedMs) },
    { title: 'BYTES', wide: true, value: ({ bytes }) => bytes },
    { title: 'BROKER SET', wide: true, value: ({ brokerSet }) => brokerSet },
  ],
};

/** @throws MqError CONFIG */
export function momentOf(text: string): number {
  const timeMs = /^\d{12,}$/.test(text) ? Number(text) : Date.parse(text.startsWith('@') ? text.slice(1) : text);
  if (Number.isNaN(timeMs))
    throw new MqError('CONFIG', `"${text}": must be a time like 2026-11-22T10:00Z, or ms since 1970`);
  return timeMs;
}

interface ListOptions {
  readonly topic?: string;
  readonly from?: number;
  readonly to?: number;
  readonly max: number;
}

export function delayedCommands(comet: Command, act: Act): void {
  const delayed = comet.command('delayed').description('Delayed messages that are not due yet.');
  examples(delayed, 'comet delayed ls --topic reminders', 'comet delayed cancel <id>');

  const list = delayed
    .command('ls')
    .alias('list')
    .description('List delayed messages, the next due first.')
    .option('--topic <name>', 'only messages of this topic')
    .option('--from <time>', 'due at this time or later', momentOf)
    .option('--to <time>', 'due before this time', momentOf)
    .option('--max <n>', 'list at most this many', wholeNumber(1, 1_000_000), 100)
    .action(
      act(async (session, { topic, from, to, max }: ListOptions) => {
        const query = { topic, fromMs: from?.toString(), toMs: to?.toString() };
        session.printer.list(delayedView, await session.api().list<DelayedView>('/delayed', query, max));
      }),
    );
  examples(list, 'comet delayed ls', 'comet delayed ls --topic reminders --from 2026-12-24T00:00Z --max 20 -o wide');

  const describe = delayed
    .command('describe <id>')
    .description('Show one, by its id or by the recall handle that its sender got.')
    .action(
      act(async (session, id: string) => {
        session.printer.one(delayedView, await session.api().get<DelayedView>(delayedPath(id)));
      }),
    );
  examples(describe, 'comet delayed describe <id>');

  const cancel = delayed
    .command('cancel <id>')
    .description('Cancel a message: it will never be delivered.')
    .action(
      act(async (session, id: string) => {
        await session.confirm('Cancel this message, so that it is never delivered?');
        await session.api().call('DELETE', delayedPath(id));
        session.note('the message will never be delivered');
      }),
    );
  examples(cancel, 'comet delayed cancel <id> --yes');

  const reschedule = delayed
    .command('reschedule <id>')
    .description('Change when a message is delivered.')
    .option('--at <time>', 'at this time', momentOf)
    .option('--in <duration>', 'this long from now', durationMs)
    .action(
      act(async (session, id: string, { at, in: inMs }: { at?: number; in?: number }) => {
        if ((at === undefined) === (inMs === undefined)) throw new MqError('CONFIG', 'give one of --at and --in');
        const dueMs = at ?? session.world.clock.wallMs() + (inMs ?? 0);
        session.printer.list(delayedView, [await session.api().call<DelayedView>('PATCH', delayedPath(id), { dueMs })]);
      }),
    );
  examples(
    reschedule,
    'comet delayed reschedule <id> --at 2026-12-24T18:00Z',
    'comet delayed reschedule <id> --in 10m',
  );
}
