import type { Command } from 'commander';
import type { GroupView } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { exitCode, type ExitCode } from '../exit-codes.js';
import type { View } from '../printer.js';
import { durationMs, examples, wholeNumber, type Act, type Session } from '../session.js';
import { groupInspectCommands } from './inspect.js';

interface QueueReset {
  readonly brokerSet: string;
  readonly topic: string;
  readonly queueId: number;
  readonly before?: number;
  readonly after: number;
}
interface ResetResult {
  readonly queues: readonly QueueReset[];
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
}

const resetView: View<QueueReset> = {
  name: ({ brokerSet, topic, queueId }) => `${brokerSet}/${topic}/${queueId}`,
  columns: [
    { title: 'TOPIC', value: ({ topic }) => topic },
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'QUEUE', value: ({ queueId }) => queueId },
    { title: 'BEFORE', value: ({ before }) => before ?? '' },
    { title: 'AFTER', value: ({ after }) => after },
  ],
};

/** first, end, @time, an offset, or group:name. @throws MqError CONFIG */
function targetOf(text: string): object {
  if (text === 'first' || text === 'end') return { at: text };
  if (text.startsWith('group:')) return { at: 'group', group: text.slice('group:'.length) };
  if (/^\d{1,15}$/.test(text)) return { at: 'offset', offset: Number(text) };
  const timeMs = text.startsWith('@') ? Date.parse(text.slice(1)) : Number.NaN;
  if (!Number.isNaN(timeMs)) return { at: 'time', timeMs };
  throw new MqError(
    'CONFIG',
    `"${text}": must be first, end, an offset, group:<name> or a time like @2026-11-22T10:00Z`,
  );
}

interface ResetOptions {
  readonly topic: string;
  readonly to: object;
  readonly brokerSet?: string;
  readonly queue?: number;
}

const path = (name: string): string => `/groups/${encodeURIComponent(name)}`;

/** Asks for confirmation, moves the group, and shows what was set. */
export async function resetGroup(
  session: Session,
  name: string,
  body: { readonly topic: string; readonly to: object; readonly brokerSet?: string; readonly queueId?: number },
): Promise<ExitCode> {
  await session.confirm(`Move the consumer group "${name}" to another position in "${body.topic}"?`);
  const { queues, missing } = await session.api().call<ResetResult>('POST', `${path(name)}/reset`, body);
  session.printer.list(resetView, queues);
  for (const { brokerSet, detail } of missing) {
    session.note(`${brokerSet} did not answer, and the group may not have been moved there: ${detail}`);
  }
  return missing.length === 0 ? exitCode.ok : exitCode.failed;
}

/** Commands that pause a group or move it. */
export function progressCommands(group: Command, act: Act): void {
  groupInspectCommands(group, act);
  const pause = group
    .command('pause <name>')
    .description('Stop delivering to the group; messages in flight may still be acknowledged.')
    .option('--for <duration>', 'for this long; by default until it is resumed', durationMs)
    .action(
      act(async (session, name: string, { for: forMs }: { for?: number }) => {
        const body = forMs === undefined ? {} : { forMs };
        await session.api().call<GroupView>('POST', `${path(name)}/pause`, body);
        session.note(`consumer group "${name}" is paused`);
      }),
    );
  examples(pause, 'comet group pause billing --for 10m', 'comet group pause billing');

  const resume = group
    .command('resume <name>')
    .description('Resume delivery.')
    .action(
      act(async (session, name: string) => {
        await session.api().call<GroupView>('POST', `${path(name)}/resume`);
        session.note(`consumer group "${name}" is resumed`);
      }),
    );
  examples(resume, 'comet group resume billing');

  const reset = group
    .command('reset <name>')
    .description('Move the group to another position in a topic; receipt handles from before have no effect.')
    .requiredOption('--topic <name>', 'in this topic')
    .requiredOption('--to <where>', 'first, end (skip), @time, an offset, or group:<name> (clone)', targetOf)
    .option('--broker-set <name>', 'only on this broker set')
    .option('--queue <n>', 'only this queue', wholeNumber(0, 1023))
    .action(
      act(async (session, name: string, { topic, to, brokerSet, queue }: ResetOptions) => {
        const one = { ...(brokerSet && { brokerSet }), ...(queue !== undefined && { queueId: queue }) };
        return resetGroup(session, name, { topic, to, ...one });
      }),
    );
  examples(
    reset,
    'comet group reset billing --topic orders --to @2026-11-22T10:00Z',
    'comet group reset billing --topic orders --to end',
    'comet group reset billing --topic orders --to group:audit',
  );
}
