import type { Command } from 'commander';
import type { OutgoingMessage, PublicClient, ReceivedMessage, SentMessage } from '@cometmq/client';
import type { GroupView, TopicView } from '@cometmq/admin';
import { MqError, sleep } from '@cometmq/shared';

import { exitCode, type ExitCode } from '../exit-codes.js';
import { timeText, visible, type Listing, type View } from '../printer.js';
import { durationMs, examples, wholeNumber, type Session, type Act } from '../session.js';
import { groupPath } from './group.js';
import { topicPath } from './topic.js';

/** One request carries so many messages, and so many bytes, at most. */
const batchMax = 32;
const batchBytesMax = 4 * 1024 * 1024;
const bodyShownMax = 120;

const sentView: View<SentMessage> = {
  name: ({ messageId }) => messageId,
  columns: [
    { title: 'MESSAGE ID', value: ({ messageId }) => messageId },
    { title: 'OFFSET', value: ({ offset }) => offset },
  ],
};

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
    {
      title: 'PROPERTIES',
      wide: true,
      value: ({ properties }) => [...properties].map((pair) => pair.join('=')).join(' '),
    },
    { title: 'BODY', value: shownBody },
  ],
};

export interface SendOptions {
  readonly file?: string;
  readonly lines?: boolean;
  readonly tag?: string;
  readonly key?: readonly string[];
  readonly property?: ReadonlyMap<string, string>;
  readonly count?: number;
}

export interface ReceiveOptions {
  readonly group: string;
  readonly max: number;
  readonly wait: number;
  readonly ack: boolean;
  readonly tag?: string;
  readonly invisible: number;
}

interface TailOptions {
  readonly tag?: string;
  readonly max?: number;
  readonly fromStart?: boolean;
}

export function messageCommands(comet: Command, act: Act): void {
  const message = comet.command('msg').description('Send, receive and watch messages.');
  examples(message, 'comet msg send orders hello', 'comet msg receive orders --group billing', 'comet msg tail orders');
  for (const parent of [message, comet]) {
    addSend(parent, act);
    addReceive(parent, act);
    addTail(parent, act);
  }
}

function addSend(parent: Command, act: Act): void {
  const send = parent
    .command('send <topic> [body]')
    .description('Send messages: the body given, a file, or standard input. Resolves when they are stored.')
    .option('-f, --file <path>', 'take the body from a file')
    .option('-l, --lines', 'each line of the input is a message')
    .option('-t, --tag <tag>', 'tag to filter by')
    .option('-k, --key <key>', 'key to find it by; may be given again', collect)
    .option('-p, --property <name=value>', 'property; may be given again', collectProperty)
    .option('-n, --count <n>', 'send it so many times', wholeNumber(1, 1_000_000), 1)
    .action(
      act((session, topic: string, body: string | undefined, options: SendOptions) =>
        sendMessages(session, topic, body, options),
      ),
    );
  examples(
    send,
    'comet send orders "one coffee" --tag hot --key order-7',
    'comet send orders --file order.json --property source=shop',
    'comet send accesses --lines -o jsonl < access.log',
  );
}

function addReceive(parent: Command, act: Act): void {
  const receive = parent
    .command('receive <topic>')
    .description('Receive messages as a member of a group, and acknowledge them. Exits with 6 when none came.')
    .requiredOption('-g, --group <name>', 'consumer group')
    .option('-m, --max <n>', 'receive so many at most', wholeNumber(1, 1_000_000), 1)
    .option('-w, --wait <duration>', 'wait so long for them', durationMs, 5_000)
    .option('-t, --tag <expression>', 'those with one of these tags, as "a || b"')
    .option('--no-ack', 'leave them to be delivered again')
    .option(
      '--invisible <duration>',
      'without acknowledgement: how long nobody else gets them (10s to 12h)',
      durationMs,
      30_000,
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
    .description('Watch messages as they come, with a group of its own that is deleted afterwards.')
    .option('-t, --tag <expression>', 'those with one of these tags, as "a || b"')
    .option('-m, --max <n>', 'stop after so many', wholeNumber(1, 1_000_000))
    .option('--from-start', 'begin with the first message kept, not with the next one sent')
    .action(act((session, topic: string, options: TailOptions) => tailTopic(session, topic, options)));
  examples(
    tail,
    'comet tail orders',
    'comet tail orders --tag hot -o jsonl',
    'comet tail %DLQ%billing --from-start --max 10',
  );
}

export async function sendMessages(
  session: Session,
  topic: string,
  body: string | undefined,
  options: SendOptions,
): Promise<void> {
  const bodies = await bodiesOf(session, body, options);
  const listing = session.printer.listing(sentView);
  const client = session.client();
  const { tag, key = [], property, count = 1 } = options;
  const one = (bytes: Uint8Array): OutgoingMessage => ({
    ...{ topic, body: bytes, keys: key },
    ...(tag !== undefined && { tag }),
    ...(property && { properties: property }),
  });
  let batch: OutgoingMessage[] = [];
  let batchBytes = 0;
  let sent = 0;
  const flush = async (): Promise<void> => {
    listing.add(await client.send(batch));
    sent += batch.length;
    batch = [];
    batchBytes = 0;
  };
  try {
    for (const bytes of bodies) {
      for (let i = 0; i < count && !session.world.interrupted.aborted; i += 1) {
        if (batch.length === batchMax || (batch.length > 0 && batchBytes + bytes.length > batchBytesMax)) await flush();
        batch.push(one(bytes));
        batchBytes += bytes.length;
      }
    }
    if (batch.length > 0) await flush();
  } finally {
    listing.end();
    if (bodies.length * count > 1) session.note(`${sent} of ${bodies.length * count} messages were sent`);
  }
}

export async function receiveMessages(session: Session, topic: string, options: ReceiveOptions): Promise<ExitCode> {
  const { group, max, wait, ack, invisible } = options;
  const { clock, interrupted } = session.world;
  const client = session.client();
  const listing = session.printer.listing(receivedView);
  const endMs = clock.monotonicMs() + wait;
  let received = 0;
  try {
    while (received < max && !interrupted.aborted) {
      const leftMs = Math.max(0, endMs - clock.monotonicMs());
      const batch = await client.receive({
        ...{ group, topic, messagesMax: Math.min(batchMax, max - received), waitMs: leftMs },
        ...{ invisibleMs: invisible, filter: filterOf(options.tag), signal: interrupted },
      });
      received += batch.length;
      if (batch.length > 0) listing.add(batch); // Shown before they are done with: no message is lost on the way.
      if (ack) await client.ack(group, topic, batch);
      if (leftMs === 0 && batch.length === 0) break;
    }
  } catch (caught) {
    if (MqError.from(caught).code !== 'CANCELLED') throw caught;
  } finally {
    listing.end();
    // One that holds nothing says goodbye; else what it holds would be released before its time.
    if (ack) await client.leave(group).catch(() => undefined);
  }
  if (received > 0 || interrupted.aborted) return exitCode.ok;
  session.note(`no message came within ${wait} ms`);
  return exitCode.timeout;
}

async function tailTopic(
  session: Session,
  topic: string,
  { tag, max = Infinity, fromStart }: TailOptions,
): Promise<void> {
  const { world } = session;
  const api = session.api();
  await api.get<TopicView>(topicPath(topic));
  const unique = Math.floor(world.chance.next() * 2 ** 40).toString(36);
  const group = `comet-tail-${unique}`;
  await api.call<GroupView>('POST', '/groups', { name: group, start: { at: fromStart ? 'first' : 'end' } });
  const client = session.client();
  const listing = session.printer.listing(receivedView);
  session.note(`watching "${topic}" as group "${group}"; Ctrl-C ends it`);
  try {
    await watch(session, client, listing, { topic, group, tag, max });
  } finally {
    listing.end();
    await client.leave(group).catch(() => undefined);
    await api.call('DELETE', groupPath(group)).catch((caught: unknown) => {
      session.note(`group "${group}" is left behind: ${MqError.from(caught).reason}`);
    });
  }
}

interface Watched {
  readonly topic: string;
  readonly group: string;
  readonly tag: string | undefined;
  readonly max: number;
}

const pollMs = 15_000;
const pauseMs = 500;
/** The proxies hear of a new group a moment after the REST API has made it. */
const newsMsMax = 5_000;

async function watch(
  { world, note }: Pick<Session, 'world' | 'note'>,
  client: PublicClient,
  listing: Listing<ReceivedMessage>,
  { topic, group, tag, max }: Watched,
): Promise<void> {
  const { clock, interrupted } = world;
  const beganMs = clock.monotonicMs();
  let seen = 0;
  let told = '';
  while (seen < max && !interrupted.aborted) {
    try {
      const batch = await client.receive({
        ...{ group, topic, messagesMax: Math.min(batchMax, max - seen), waitMs: pollMs },
        ...{ invisibleMs: 10_000, filter: filterOf(tag), signal: interrupted },
      });
      seen += batch.length;
      if (batch.length > 0) listing.add(batch);
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

async function bodiesOf(
  session: Session,
  body: string | undefined,
  { file, lines }: SendOptions,
): Promise<readonly Uint8Array[]> {
  const { world } = session;
  if (body !== undefined && file !== undefined) throw new MqError('CONFIG', 'give a body or --file, not both');
  let bytes: Uint8Array | undefined;
  if (body !== undefined && body !== '-') bytes = Buffer.from(body, 'utf8');
  else if (file !== undefined) {
    bytes = world.files.read(file);
    if (!bytes) throw new MqError('CONFIG', `--file ${file}: there is no such file`);
  } else {
    if (world.terminal.in && body !== '-') session.note('the body comes from standard input; Ctrl-D ends it');
    bytes = await world.readAllInput();
  }
  if (!lines) return [bytes];
  const split = Buffer.from(bytes).toString('utf8').split(/\r?\n/);
  return split.filter((line) => line !== '').map((line) => Buffer.from(line, 'utf8'));
}

function filterOf(expression: string | undefined): { type: 'tag'; expression: string } {
  return { type: 'tag', expression: expression ?? '*' };
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** @throws MqError CONFIG */
function collectProperty(pair: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const equals = pair.indexOf('=');
  if (equals < 1) throw new MqError('CONFIG', `--property ${pair}: must be name=value`);
  return new Map([...before, [pair.slice(0, equals), pair.slice(equals + 1)]]);
}

/** The body as text where it is text, else as base64. */
function jsonOf(message: ReceivedMessage): unknown {
  const { topic, messageId, tag, keys, properties, queueId, offset, attempt, bornMs, storedMs, receiptHandle } =
    message;
  const text = textOf(message);
  return {
    ...{ topic, messageId, tag, keys, properties: Object.fromEntries(properties), queueId, offset, attempt },
    ...{ bornMs, storedMs, receiptHandle },
    ...(text === undefined ? { bodyBase64: Buffer.from(message.body).toString('base64') } : { body: text }),
  };
}

function shownBody(message: ReceivedMessage): string {
  const text = textOf(message);
  if (text === undefined) return `(${message.body.length} bytes${message.plain ? '' : ', gzip'})`;
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
