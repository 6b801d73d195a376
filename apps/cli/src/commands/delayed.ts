import type { Command } from 'commander';
import type { DelayedView } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { durationText, timeText, type View } from '../printer.js';
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
    { title: 'WAITS FOR', wide: true, value: ({ dueMs, storedMs }) => durationText(Math.max(0, dueMs - storedMs)) },
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
  const delayed = comet.command('delayed').description('Delayed messages that wait for their time.');
  examples(delayed, 'comet delayed ls --topic reminders', 'comet delayed cancel <id>');

  const list = delayed
    .command('ls')
    .alias('list')
    .description('Those that wait, in the order of their time.')
    .option('--topic <name>', 'only those of this topic')
    .option('--from <time>', 'due at this time or later', momentOf)
    .option('--to <time>', 'due before this time', momentOf)
    .option('--max <n>', 'at most so many', wholeNumber(1, 1_000_000), 100)
    .action(
      act(async (session, { topic, from, to, max }: ListOptions) => {
        const query = { topic, fromMs: from?.toString(), toMs: to?.toString() };
        session.printer.list(delayedView, await session.api().list<DelayedView>('/delayed', query, max));
      }),
    );
  examples(list, 'comet delayed ls', 'comet delayed ls --topic reminders --from 2026-12-24T00:00Z --max 20 -o wide');

  const describe = delayed
    .command('describe <id>')
    .description('One of them, by its id or the recall handle that its sender got.')
    .action(
      act(async (session, id: string) => {
        session.printer.one(delayedView, await session.api().get<DelayedView>(delayedPath(id)));
      }),
    );
  examples(describe, 'comet delayed describe <id>');

  const cancel = delayed
    .command('cancel <id>')
    .description('Take it back: it is never delivered.')
    .action(
      act(async (session, id: string) => {
        await session.confirm('Take this message back, so that it is never delivered?');
        await session.api().call('DELETE', delayedPath(id));
        session.note('the message will never be delivered');
      }),
    );
  examples(cancel, 'comet delayed cancel <id> --yes');

  const reschedule = delayed
    .command('reschedule <id>')
    .description('Deliver it at another time.')
    .option('--at <time>', 'when', momentOf)
    .option('--in <duration>', 'so long from now', durationMs)
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
