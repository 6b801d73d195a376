/** What the log knows: messages found again, their lives, and why one is not consumed; a group's lag over time, and its moves. */
import type { Missing } from '@cometmq/admin';
import type { Command } from 'commander';
import { MqError } from '@cometmq/shared';

import { aboutText, timeText, type View } from '../printer.js';
import { examples, wholeNumber, type Act, type Session } from '../session.js';
import { momentOf } from './delayed.js';

interface MessageItem {
  readonly id: string;
  readonly topic: string;
  readonly brokerSet: string;
  readonly queueId: number;
  readonly offset?: number;
  readonly storedMs: number;
  readonly messageId: string;
  readonly tag: string;
  readonly messageGroup: string;
  readonly keys: readonly string[];
  readonly bodyBytes: number;
}
interface MessagePart {
  readonly items: readonly MessageItem[];
  readonly missing: readonly Missing[];
}
interface LifeEvent {
  readonly atMs: number;
  readonly kind: string;
  readonly group?: string;
  readonly clientId?: string;
  readonly attempt?: number;
  readonly untilMs?: number;
  readonly topic: string;
  readonly queueId: number;
  readonly offset: number;
  readonly who?: string;
}
interface WhyStep {
  readonly step: string;
  readonly ok: boolean;
  readonly text: string;
}
interface Why {
  readonly verdict: string;
  readonly text: string;
  readonly steps: readonly WhyStep[];
}
interface LagPoint {
  readonly atMs: number;
  readonly lag: number;
  readonly oldestMs?: number;
}
interface Move {
  readonly id: string;
  readonly atMs: number;
  readonly who: string;
  readonly topic: string;
  readonly undone: boolean;
  readonly undoes?: string;
  readonly queues: readonly { readonly before?: number; readonly after: number }[];
}

const messageView: View<MessageItem> = {
  name: ({ id }) => id,
  columns: [
    { title: 'STORED', value: ({ storedMs }) => timeText(storedMs) },
    { title: 'MESSAGE ID', value: ({ messageId }) => messageId },
    { title: 'QUEUE', value: ({ queueId }) => queueId },
    { title: 'OFFSET', value: ({ offset }) => offset },
    { title: 'TAG', value: ({ tag }) => tag },
    { title: 'KEYS', value: ({ keys }) => keys.join(' ') },
    { title: 'MESSAGE GROUP', wide: true, value: ({ messageGroup }) => messageGroup },
    { title: 'BYTES', wide: true, value: ({ bodyBytes }) => bodyBytes },
    { title: 'ID', value: ({ id }) => id },
  ],
};

const lifeView: View<LifeEvent> = {
  name: ({ kind }) => kind,
  columns: [
    { title: 'TIME', value: ({ atMs }) => timeText(atMs) },
    { title: 'EVENT', value: ({ kind }) => kind },
    { title: 'GROUP', value: ({ group }) => group },
    { title: 'CLIENT', value: ({ clientId }) => clientId },
    { title: 'ATTEMPT', value: ({ attempt }) => attempt },
    { title: 'UNTIL', value: ({ untilMs }) => (untilMs === undefined ? '' : timeText(untilMs)) },
    { title: 'WHO', wide: true, value: ({ who }) => who },
    { title: 'TOPIC', wide: true, value: ({ topic }) => topic },
    { title: 'QUEUE', wide: true, value: ({ queueId }) => queueId },
    { title: 'OFFSET', wide: true, value: ({ offset }) => offset },
  ],
};

const stepView: View<WhyStep> = {
  name: ({ step }) => step,
  columns: [
    { title: 'STEP', value: ({ step }) => step },
    { title: 'OK', value: ({ ok }) => ok },
    { title: 'WHAT', value: ({ text }) => text },
  ],
};
const whyView: View<Why> = {
  name: ({ verdict }) => verdict,
  columns: [
    { title: 'VERDICT', value: ({ verdict }) => verdict },
    { title: 'WHY', value: ({ text }) => text },
  ],
};

const lagView: View<LagPoint> = {
  name: ({ atMs }) => String(atMs),
  columns: [
    { title: 'TIME', value: ({ atMs }) => timeText(atMs) },
    { title: 'LAG', value: ({ lag }) => lag },
    {
      title: 'OLDEST',
      value: ({ oldestMs, atMs }) => (oldestMs === undefined ? '' : aboutText(Math.max(0, atMs - oldestMs))),
    },
  ],
};
const lagNowView: View<{
  readonly name: string;
  readonly lag: number;
  readonly ready: number;
  readonly inFlight: number;
}> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name }) => name },
    { title: 'LAG', value: ({ lag }) => lag },
    { title: 'READY', value: ({ ready }) => ready },
    { title: 'IN FLIGHT', value: ({ inFlight }) => inFlight },
  ],
};

const moveView: View<Move> = {
  name: ({ id }) => id,
  columns: [
    { title: 'TIME', value: ({ atMs }) => timeText(atMs) },
    { title: 'WHO', value: ({ who }) => who },
    { title: 'TOPIC', value: ({ topic }) => topic },
    {
      title: 'MOVED BY',
      value: ({ queues }) => queues.reduce((sum, { before = 0, after }) => sum + after - before, 0),
    },
    { title: 'UNDONE', value: ({ undone }) => undone },
    { title: 'MOVE', value: ({ id }) => id },
  ],
};

interface FindOptions {
  readonly id?: string;
  readonly key?: string;
  readonly tag?: string;
  readonly messageGroup?: string;
  readonly property?: string;
  readonly text?: string;
  readonly from?: number;
  readonly to?: number;
  readonly max: number;
}

const messagePath = (id: string): string => `/messages/${encodeURIComponent(id)}`;

/** `comet msg find`, `life` and `why`. */
export function findCommands(message: Command, act: Act): void {
  const find = message
    .command('find [topic]')
    .description('Find stored messages, newest first. Only --id does without a topic.')
    .option('--id <messageId>', 'with this message id')
    .option('--key <key>', 'with this key')
    .option('-t, --tag <tag>', 'with this tag')
    .option('--message-group <name>', 'of this message group')
    .option('--property <name[=value]>', 'with this user property')
    .option('--text <text>', 'with this text in the body')
    .option('--from <time>', 'stored at this time or later', momentOf)
    .option('--to <time>', 'stored before this time', momentOf)
    .option('-m, --max <n>', 'find at most this many', wholeNumber(1, 1_000_000), 20)
    .action(
      act(async (session, topic: string | undefined, options: FindOptions) => {
        session.printer.list(messageView, await findAll(session, topic, options));
      }),
    );
  examples(
    find,
    'comet msg find orders --key order-7',
    'comet msg find orders --text "total: 12" --from 2026-11-22T10:00Z',
  );

  const life = message
    .command('life <id>')
    .description('Show what was decided on a message: each delivery, renewal, acknowledgement. The id is that of find.')
    .action(
      act(async (session, id: string) => {
        const { events } = await session
          .api()
          .get<{ events: readonly LifeEvent[] }>(`${messagePath(await placed(session, id))}/life`);
        session.printer.list(lifeView, events);
      }),
    );
  examples(life, 'comet msg life <id>');

  const why = message
    .command('why <id>')
    .description('Say why a consumer group has not consumed a message.')
    .requiredOption('-g, --group <name>', 'consumer group')
    .action(
      act(async (session, id: string, { group }: { group: string }) => {
        const query = new URLSearchParams({ group }).toString();
        const found = await session.api().get<Why>(`${messagePath(await placed(session, id))}/why?${query}`);
        const print = (): void => session.printer.list(stepView, found.steps);
        session.printer.one(whyView, found, { title: 'STEPS', empty: false, print });
      }),
    );
  examples(why, 'comet msg why <id> --group billing');
}

/** The id of a list, or a message id: then it is looked for in all topics. @throws MqError MESSAGE_NOT_FOUND */
async function placed(session: Session, id: string): Promise<string> {
  if (id.includes('~')) return id;
  const { items, missing } = await session
    .api()
    .get<MessagePart>(`/messages?${new URLSearchParams({ id }).toString()}`);
  const [found] = items;
  const [silent] = missing;
  if (!found && silent) {
    throw new MqError(
      'UNAVAILABLE',
      `the message may be in ${silent.brokerSet}, which did not answer: ${silent.detail}`,
    );
  }
  if (!found) throw new MqError('MESSAGE_NOT_FOUND', `no topic holds a message with the id "${id}"`);
  return found.id;
}

async function findAll(session: Session, topic: string | undefined, options: FindOptions): Promise<MessageItem[]> {
  const { id, key, tag, messageGroup, text, from, to, max } = options;
  if (topic === undefined && id === undefined) throw new MqError('CONFIG', 'name the topic; only --id does without');
  const [property, value] = options.property?.split(/=(.*)/s) ?? [];
  const given = {
    topic,
    id,
    key,
    tag,
    messageGroup,
    property,
    value,
    text,
    fromMs: from?.toString(),
    toMs: to?.toString(),
  };
  const query = Object.fromEntries(Object.entries(given).map(([name, one]) => [name, one === '' ? undefined : one]));
  return session.api().list<MessageItem>('/messages', query, max);
}

/** `comet group lag` and `moves`. */
export function groupInspectCommands(group: Command, act: Act): void {
  const lag = group
    .command('lag <name>')
    .description('Show what a group has still to do; with --history, every two minutes of the last 24 hours.')
    .option('--history', 'over time')
    .option('--hours <n>', 'how far back', wholeNumber(1, 24), 24)
    .action(
      act(async (session, name: string, { history, hours }: { history?: boolean; hours: number }) => {
        const path = `/groups/${encodeURIComponent(name)}`;
        if (history !== true) {
          session.printer.one(
            lagNowView,
            await session.api().get<{ name: string; lag: number; ready: number; inFlight: number }>(path),
          );
          return;
        }
        const api = session.api();
        const { points, missing } = await api.get<{ points: readonly LagPoint[]; missing: readonly Missing[] }>(
          `${path}/lag?hours=${hours}`,
        );
        api.tellMissing(missing);
        session.printer.list(lagView, points);
      }),
    );
  examples(lag, 'comet group lag billing', 'comet group lag billing --history --hours 2');

  const moves = group
    .command('moves <name>')
    .description('List how a group was moved in the last 24 hours; `comet undo` takes one back.')
    .action(
      act(async (session, name: string) => {
        session.printer.list(moveView, await movesOf(session, name));
      }),
    );
  examples(moves, 'comet group moves billing');
}

const movesPath = (group: string): string => `/groups/${encodeURIComponent(group)}/moves`;

async function movesOf(session: Session, group: string): Promise<readonly Move[]> {
  const api = session.api();
  const { items, missing } = await api.get<{ items: readonly Move[]; missing: readonly Missing[] }>(movesPath(group));
  api.tellMissing(missing);
  return items;
}

/** `comet undo`. */
export function undoCommand(comet: Command, act: Act): void {
  const undo = comet
    .command('undo <name> [move]')
    .description(
      'Take back the deletion of the topic or consumer group of that name; or else the last move of the group, or the one ' +
        'named, of the last 24 hours.',
    )
    .option('--replace', 'a newer one that has the name now is deleted instead, and can be brought back in its turn')
    .action(
      act(
        async (
          session,
          name: string,
          move: string | undefined,
          { replace = false }: { readonly replace?: boolean },
        ) => {
          if (move === undefined && (await undeleted(session, name, replace))) return;
          const meant = (await movesOf(session, name)).find(({ id, undone, undoes }) =>
            move === undefined ? !undone && undoes === undefined : id === move,
          );
          if (!meant) {
            const none =
              move === undefined
                ? `"${name}" was not moved in the last 24 hours, or all that was is taken back`
                : `"${name}" has no move "${move}" in the last 24 hours: comet group moves ${name} lists them`;
            throw new MqError('NOT_FOUND', none);
          }
          await session.confirm(`Take back the move of "${name}" in "${meant.topic}" at ${timeText(meant.atMs)}?`);
          await session.api().call('POST', `${movesPath(name)}/${encodeURIComponent(meant.id)}/undo`);
          session.note(`consumer group "${name}" is back where it was`);
        },
      ),
    );
  examples(undo, 'comet undo orders', 'comet undo billing', 'comet undo billing <move> --yes');
}

interface Deleted {
  readonly kind: 'topic' | 'group';
  readonly id: number;
  readonly name: string;
  readonly who: string;
  readonly deletedMs: number;
}

/** False: nothing of that name was deleted, or it is gone for good. */
async function undeleted(session: Session, name: string, replace: boolean): Promise<boolean> {
  const api = session.api();
  const { items } = await api.get<{ items: readonly Deleted[] }>('/deleted');
  const found = items.find((one) => one.name === name);
  if (!found) return false;
  const { kind, id, who, deletedMs } = found;
  await session.confirm(`Take back the deletion of the ${kind} "${name}" at ${timeText(deletedMs)} by ${who}?`);
  await api.call('POST', `/deleted/${kind}/${id}/restore${replace ? '?replace=true' : ''}`);
  session.note(`the ${kind} "${name}" is back`);
  return true;
}
