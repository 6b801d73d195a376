import type { Command } from 'commander';
import type { OutgoingMessage, SentMessage } from '@cometmq/client';
import { MqError } from '@cometmq/shared';

import { exitCode, type ExitCode } from '../exit-codes.js';
import type { View } from '../printer.js';
import { durationMs, examples, timeMs, wholeNumber, type Session, type Act } from '../session.js';
import { batchMax } from './batch.js';

/** One request carries so many bytes at most. */
const batchBytesMax = 4 * 1024 * 1024;

const sentView: View<SentMessage> = {
  name: ({ messageId }) => messageId,
  columns: [
    { title: 'MESSAGE ID', value: ({ messageId }) => messageId },
    { title: 'OFFSET', value: ({ offset }) => offset },
  ],
};

export interface SendOptions {
  readonly file?: string;
  readonly lines?: boolean;
  readonly tag?: string;
  readonly key?: readonly string[];
  readonly property?: ReadonlyMap<string, string>;
  readonly count?: number;
  readonly messageGroup?: string;
  readonly delay?: number;
  readonly at?: number;
  readonly priority?: number;
  readonly liteTopic?: string;
}

export function addSend(parent: Command, act: Act): void {
  const send = parent
    .command('send <topic> [body]')
    .description('Send messages: the body given, a file, or standard input. Ends when they are stored.')
    .option('-f, --file <path>', 'read the body from a file')
    .option('-l, --lines', 'send each line of the input as a message, byte for byte')
    .option('-t, --tag <tag>', 'tag to filter by')
    .option('-k, --key <key>', 'key to find it by; may be repeated', collect)
    .option('-p, --property <name=value>', 'property; may be repeated with other names', collectProperty)
    .option('-n, --count <n>', 'send it this many times', wholeNumber(1, 1_000_000), 1)
    .option('--message-group <name>', 'message group, within which order is kept; for a FIFO topic')
    .option('--delay <duration>', 'deliver it after this time; for a DELAY topic', durationMs)
    .option('--at <time>', 'deliver it at this time, as 2027-01-31T08:00:00Z; for a DELAY topic', timeMs)
    .option('--priority <n>', 'higher goes first; for a PRIORITY topic', wholeNumber(0, 2 ** 31 - 1))
    .option('--lite-topic <name>', 'send to this lite topic; for a LITE topic')
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
    'comet send reminders "call back" --delay 2h',
  );
}

export async function sendMessages(
  session: Session,
  topic: string,
  body: string | undefined,
  options: SendOptions,
): Promise<ExitCode> {
  const bodies = await bodiesOf(session, body, options);
  const listing = session.printer.listing(sentView);
  const client = await session.client();
  const { tag, key = [], property, count = 1 } = options;
  const special = specialOf(options, session.world.clock.wallMs());
  const one = (bytes: Uint8Array): OutgoingMessage => ({
    ...{ topic, body: bytes, keys: key, ...special },
    ...(tag !== undefined && { tag }),
    ...(property && { properties: property }),
  });
  let batch: OutgoingMessage[] = [];
  let batchBytes = 0;
  let sent = 0;
  const total = bodies.length * count;
  const progress = session.progress('messages sent', total);
  const flush = async (): Promise<void> => {
    const outcomes = await client.sendEach(batch);
    const stored = outcomes.filter((outcome): outcome is SentMessage => !(outcome instanceof MqError));
    listing.add(stored);
    sent += stored.length;
    progress.done(sent);
    const refusal = outcomes.find((outcome) => outcome instanceof MqError);
    if (refusal) throw refusal; // Of the same batch others are stored, and told.
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
    progress.end();
    listing.end();
    if (total > 1) session.note(`${sent} of ${total} messages ${sent === 1 ? 'was' : 'were'} sent`);
  }
  return sent === total ? exitCode.ok : exitCode.failed;
}

type Special = Pick<OutgoingMessage, 'messageGroup' | 'deliveryMs' | 'priority' | 'liteTopic'>;

/** What makes it another message than a normal one. @throws MqError CONFIG */
function specialOf({ messageGroup, delay, at, priority, liteTopic }: SendOptions, nowMs: number): Special {
  if (delay !== undefined && at !== undefined) throw new MqError('CONFIG', 'give --delay or --at, not both');
  const deliveryMs = at ?? (delay === undefined ? undefined : nowMs + delay);
  return {
    ...(messageGroup !== undefined && { messageGroup }),
    ...(deliveryMs !== undefined && { deliveryMs }),
    ...(priority !== undefined && { priority }),
    ...(liteTopic !== undefined && { liteTopic }),
  };
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
    if (!bytes) throw new MqError('CONFIG', `--file ${file}: no such file`);
  } else {
    if (world.terminal.in && body !== '-') session.note('the body comes from standard input; Ctrl-D ends it');
    bytes = await world.readAllInput();
  }
  if (!lines) return [bytes];
  return linesOf(bytes);
}

/** Lines as they are, whatever their encoding; a line ends with LF or CR LF, and empty ones are left out. */
function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let from = 0; from < bytes.length;) {
    const newline = bytes.indexOf(0x0a, from);
    const end = newline < 0 ? bytes.length : newline;
    const last = newline >= 0 && end > from && bytes[end - 1] === 0x0d ? end - 1 : end;
    if (last > from) lines.push(bytes.subarray(from, last));
    from = end + 1;
  }
  return lines;
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** @throws MqError CONFIG */
function collectProperty(pair: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const equals = pair.indexOf('=');
  if (equals < 1) throw new MqError('CONFIG', `--property ${pair}: must be name=value`);
  const name = pair.slice(0, equals);
  if (before.has(name)) throw new MqError('CONFIG', `--property ${name}: given twice; a message has one value a name`);
  return new Map([...before, [name, pair.slice(equals + 1)]]);
}
