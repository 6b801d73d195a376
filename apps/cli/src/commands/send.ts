import type { Command } from 'commander';
import type { OutgoingMessage, SentMessage } from '@cometmq/client';
import { MqError } from '@cometmq/shared';

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
    .description('Send messages: the body given, a file, or standard input. Resolves when they are stored.')
    .option('-f, --file <path>', 'take the body from a file')
    .option('-l, --lines', 'each line of the input is a message')
    .option('-t, --tag <tag>', 'tag to filter by')
    .option('-k, --key <key>', 'key to find it by; may be given again', collect)
    .option('-p, --property <name=value>', 'property; may be given again', collectProperty)
    .option('-n, --count <n>', 'send it so many times', wholeNumber(1, 1_000_000), 1)
    .option('--message-group <name>', 'in order with all of this group; for a FIFO topic')
    .option('--delay <duration>', 'delivered so long from now; for a DELAY topic', durationMs)
    .option('--at <time>', 'delivered at this time, as 2027-01-31T08:00:00Z; for a DELAY topic', timeMs)
    .option('--priority <n>', 'the higher the sooner; for a PRIORITY topic', wholeNumber(0, 2 ** 31 - 1))
    .option('--lite-topic <name>', 'to this lite topic; for a LITE topic')
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
): Promise<void> {
  const bodies = await bodiesOf(session, body, options);
  const listing = session.printer.listing(sentView);
  const client = session.client();
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
    if (!bytes) throw new MqError('CONFIG', `--file ${file}: there is no such file`);
  } else {
    if (world.terminal.in && body !== '-') session.note('the body comes from standard input; Ctrl-D ends it');
    bytes = await world.readAllInput();
  }
  if (!lines) return [bytes];
  const split = Buffer.from(bytes).toString('utf8').split(/\r?\n/);
  return split.filter((line) => line !== '').map((line) => Buffer.from(line, 'utf8'));
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
