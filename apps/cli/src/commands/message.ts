import type { Command } from 'commander';
import type { PublicClient, ReceivedMessage } from '@cometmq/client';
import type { TopicView } from '@cometmq/admin';
import type { FilterExpression } from '@cometmq/model';
import { counted, MqError, sleep } from '@cometmq/shared';

import { exitCode, type ExitCode } from '../exit-codes.js';
import { durationText, timeText, visible, type Listing, type View } from '../printer.js';
import { durationOption, examples, wholeNumber, type Session, type Act } from '../session.js';
import { batchMax } from './batch.js';
import { findCommands } from './inspect.js';
import { withOwnGroup } from './own-group.js';
import { addSend } from './send.js';
import { topicPath } from './topic.js';

const bodyShownMax = 120;

const receivedView: View<ReceivedMessage> = {
  name: ({ messageId }) => messageId,
  json: jsonOf,
  columns: [
    { title: 'STORED', value: ({ storedMs }) => timeText(storedMs) },
    { title: 'MESSAGE ID', wide: true, value: ({ messageId }) => messageId },
    { title: 'QUEUE', value: ({ queueId }) => queueId },
    { title: 'OFFSET', value: ({ offset }) => offset },
    { title: 'ATTEMPT', wide: true, value: ({ attempt }) => attempt },
    { title: 'TAG', value: ({ tag }) => tag },
    { title: 'KEYS', value: ({ keys }) => keys.join(' ') },
    { title: 'MESSAGE GROUP', wide: true, value: ({ messageGroup }) => messageGroup },
    {
      title: 'PROPERTIES',
      wide: true,
      value: ({ properties }) => [...properties].map((pair) => pair.join('=')).join(' '),
    },
    { title: 'ORIGIN', wide: true, value: ({ originTopic }) => originTopic },
    { title: 'BODY', value: shownBody },
  ],
};

export interface ReceiveOptions {
  readonly group: string;
  readonly max: number;
  readonly wait: number;
  readonly ack: boolean;
  readonly tag?: string;
  readonly sql?: string;
  readonly invisible: number;
}

interface TailOptions {
  readonly tag?: string;
  readonly sql?: string;
  readonly max?: number;
  readonly fromStart?: boolean;
}

export function messageCommands(comet: Command, act: Act): void {
  const message = comet.command('msg').description('Send, receive and follow messages.');
  examples(message, 'comet msg send orders hello', 'comet msg receive orders --group billing', 'comet msg tail orders');
  findCommands(message, act);
  for (const parent of [message, comet]) {
    addSend(parent, act);
    addReceive(parent, act);
    addTail(parent, act);
  }
}

function addReceive(parent: Command, act: Act): void {
  const receive = parent
    .command('receive <topic>')
    .description('Receive messages as a member of a group and acknowledge them. Exits with 6 when none came.')
    .requiredOption('-g, --group <name>', 'consumer group')
    .option('-m, --max <n>', 'receive at most this many', wholeNumber(1, 1_000_000), 1)
    .addOption(durationOption('-w, --wait <duration>', 'wait this long for them', 5_000))
    .option('-t, --tag <expression>', 'only messages with one of these tags, as "a || b"')
    .option('--sql <expression>', 'only messages whose properties match, as "amount > 5 AND kind = \'hot\'"')
    .option('--no-ack', 'do not acknowledge: they are delivered again')
    .addOption(
      durationOption(
        '--invisible <duration>',
        'how long a message that is not acknowledged is kept from other members (10s to 12h)',
        30_000,
      ),
    )
    .action(act((session, topic: string, options: ReceiveOptions) => receiveMessages(session, topic, options)));
  examples(
    receive,
    'comet receive orders --group billing',
    'comet receive orders --group billing --max 100 --wait 10s -o jsonl',
    'comet receive orders --group look --no-ack --tag "hot || cold"',
  );
}

function addTail(parent: Command, act: Act): void {
  const tail = parent
    .command('tail <topic>')
    .description('Show messages as they arrive, with a consumer group of its own that is deleted afterwards.')
    .option('-t, --tag <expression>', 'only messages with one of these tags, as "a || b"')
    .option('--sql <expression>', 'only messages whose properties match, as "amount > 5 AND kind = \'hot\'"')
    .option('-m, --max <n>', 'stop after this many', wholeNumber(1, 1_000_000))
    .option('--from-start', 'start at the oldest message kept instead of the next one sent')
    .action(act((session, topic: string, options: TailOptions) => tailTopic(session, topic, options)));
  examples(
    tail,
    'comet tail orders',
    'comet tail orders --tag hot -o jsonl',
    'comet tail %DLQ%billing --from-start --max 10',
  );
}

export async function receiveMessages(session: Session, topic: string, options: ReceiveOptions): Promise<ExitCode> {
  const { group, max, wait, ack, invisible } = options;
  const { clock, interrupted } = session.world;
  const client = await session.client();
  const listing = session.printer.listing(receivedView);
  const endMs = clock.monotonicMs() + wait;
  const progress = session.progress('messages received', max);
  let received = 0;
  try {
    while (received < max && !interrupted.aborted) {
      const leftMs = Math.max(0, endMs - clock.monotonicMs());
      const batch = await client.receive({
        ...{ group, topic, messagesMax: Math.min(batchMax, max - received), waitMs: leftMs },
        ...{ invisibleMs: invisible, filter: filterOf(options), signal: interrupted },
      });
      received += batch.length;
      // Shown before they are acknowledged: what nobody has read is delivered again.
      if (batch.length > 0) listing.add(batch);
      if (!(await session.world.written())) break;
      if (ack) await client.ack(group, topic, batch);
      if (!session.printer.toTerminal) progress.done(received);
      if (leftMs === 0 && batch.length === 0) break;
    }
  } catch (caught) {
    if (MqError.from(caught).code !== 'CANCELLED') throw caught;
  } finally {
    progress.end();
    listing.end();
    // Only a member that holds nothing leaves the group: leaving would release what it holds before its time.
    if (ack) await client.leave(group).catch(() => undefined);
  }
  if (received > 0 || interrupted.aborted) return exitCode.ok;
  session.note(`no message came within ${durationText(wait)}`);
  return exitCode.timeout;
}

async function tailTopic(session: Session, topic: string, options: TailOptions): Promise<void> {
  const { max = Infinity, fromStart } = options;
  const filter = filterOf(options);
  const { world } = session;
  const api = session.api();
  const client = await session.client();
  await api.get<TopicView>(topicPath(topic));
  const unique = Math.floor(world.chance.next() * 2 ** 40).toString(36);
  const group = `comet-tail-${unique}`;
  await withOwnGroup(session, { name: group, start: { at: fromStart ? 'first' : 'end' } }, async () => {
    const listing = session.printer.listing(receivedView);
    session.note(`watching "${topic}" as group "${group}"; Ctrl-C ends it`);
    try {
      await watch(session, client, listing, { topic, group, filter, max });
    } finally {
      listing.end();
      await client.leave(group).catch(() => undefined);
    }
  });
}

interface Watched {
  readonly topic: string;
  readonly group: string;
  readonly filter: FilterExpression;
  readonly max: number;
}

const pollMs = 15_000;
const pauseMs = 500;
/** The proxies learn of a new group a moment after the REST API has made it. */
const newsMsMax = 5_000;

async function watch(
  { world, note }: Pick<Session, 'world' | 'note'>,
  client: PublicClient,
  listing: Listing<ReceivedMessage>,
  { topic, group, filter, max }: Watched,
): Promise<void> {
  const { clock, interrupted } = world;
  const written = (): Promise<boolean> => world.written();
  const beganMs = clock.monotonicMs();
  let seen = 0;
  let told = '';
  while (seen < max && !interrupted.aborted) {
    try {
      const batch = await client.receive({
        ...{ group, topic, messagesMax: Math.min(batchMax, max - seen), waitMs: pollMs },
        ...{ invisibleMs: 10_000, filter, signal: interrupted },
      });
      seen += batch.length;
      if (batch.length > 0) listing.add(batch);
      if (!(await written())) return;
      await client.ack(group, topic, batch);
      told = '';
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code === 'CANCELLED') return;
      const young = clock.monotonicMs() - beganMs < newsMsMax;
      if (!error.retry && !(error.code === 'CONSUMER_GROUP_NOT_FOUND' && young)) throw error;
      if (error.retry && told !== error.reason) note(`${visible(error.reason)}; trying again`);
      told = error.reason;
      await sleep(clock, pauseMs);
    }
  }
}

/** @throws MqError CONFIG */
function filterOf({ tag, sql }: Pick<ReceiveOptions, 'tag' | 'sql'>): FilterExpression {
  if (tag !== undefined && sql !== undefined) throw new MqError('CONFIG', 'give --tag or --sql, not both');
  return sql === undefined ? { type: 'tag', expression: tag ?? '*' } : { type: 'sql', expression: sql };
}

/** The body as text where it is text, else as base64. */
function jsonOf(message: ReceivedMessage): unknown {
  const { topic, messageId, tag, keys, properties, queueId, offset, attempt, bornMs, storedMs, receiptHandle } =
    message;
  const { messageGroup, liteTopic, priority, originTopic } = message;
  const text = textOf(message);
  return {
    ...{ topic, messageId, tag, keys, properties: Object.fromEntries(properties), queueId, offset, attempt },
    ...{ messageGroup, liteTopic, priority, originTopic, bornMs, storedMs, receiptHandle },
    ...(text === undefined ? { bodyBase64: Buffer.from(message.body).toString('base64') } : { body: text }),
  };
}

function shownBody(message: ReceivedMessage): string {
  const text = textOf(message);
  if (text === undefined) return `(${counted(message.body.length, 'byte')}${message.plain ? '' : ', gzip'})`;
  return text.length > bodyShownMax ? `${text.slice(0, bodyShownMax)}…` : text;
}

function textOf({ body, plain }: ReceivedMessage): string | undefined {
  if (!plain) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return undefined;
  }
}
