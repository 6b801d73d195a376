import {
  flag,
  frame,
  frameType,
  greeting,
  grpcMessage,
  headersFrame,
  RawH2Client,
  requestHeaders,
} from '@cometmq/rpc/testing';

import type { Frame, Input } from './inputs.js';

/** Calls of one kind of input that are under way at a time on a connection. */
const batchMax = 50;
const waitMs = 10_000;
const windowMost = Buffer.from([0x7f, 0, 0, 0]);
/** What a client must never be told: our insides. */
const insides = /unexpected( |%20)failure|\n\s+at |\.[cm]?[jt]s:\d|node:internal|TypeError|RangeError|AssertionError/;

/** Throws inputs at a port over few connections, and sees to it that each is answered or its connection closed. */
export class Thrower {
  thrown = 0;
  /** How often each method has answered with a message of its own. */
  readonly answered = new Map<string, number>();
  /** What was wrong with an answer. */
  readonly mistakes: string[] = [];

  constructor(
    private readonly port: number,
    private readonly connections: number,
  ) {}

  async throwAll(inputs: readonly Input[]): Promise<void> {
    const left = inBatches(inputs);
    const one = async (): Promise<void> => {
      const line = new Line(this, this.port);
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        if (Array.isArray(next)) await line.throwCalls(next);
        else await line.throwOther(next);
      }
      line.close();
    };
    await Promise.all(Array.from({ length: this.connections }, one));
  }

  note(method: string): void {
    this.answered.set(method, (this.answered.get(method) ?? 0) + 1);
  }
}

type Call = Extract<Input, { kind: 'call' }>;
type Other = Exclude<Input, Call>;

/** Calls are gathered, so that many are under way at a time; the order of everything else stays. */
function inBatches(inputs: readonly Input[]): (Other | Call[])[] {
  const batches: (Other | Call[])[] = [];
  let open: Call[] | undefined;
  for (const input of inputs) {
    if (input.kind !== 'call') {
      batches.push(input);
      continue;
    }
    if (open === undefined || open.length === batchMax) batches.push((open = []));
    open.push(input);
  }
  return batches;
}

type Seen = RawH2Client['frames'][number];

/** Waits for a frame that fits, or the end of the connection. */
async function answered(what: string, client: RawH2Client, fits: (frame: Seen) => boolean): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`waited ${waitMs} ms for ${what}`)), waitMs);
  });
  const end = client.seen(fits).catch((caught: unknown) => {
    if (!client.ended) throw caught;
  });
  await Promise.race([end, limit]).finally(() => clearTimeout(late));
}
const never = (): boolean => false;

/** One connection after another. */
class Line {
  private client: RawH2Client | undefined;
  private nextStream = 1;

  constructor(
    private readonly thrower: Thrower,
    private readonly port: number,
  ) {}

  async throwCalls(calls: readonly Call[]): Promise<void> {
    const client = await this.open();
    const methodOf = new Map<number, string>();
    for (const { method, body } of calls) {
      const id = this.nextStream;
      this.nextStream += 2;
      methodOf.set(id, method);
      const headers = requestHeaders(method, {
        'grpc-timeout': '300m', // What turns out to be a good long poll ends soon.
        'x-mq-client-id': 'fuzzer',
        'x-mq-language': 'NODE_JS',
        'x-mq-protocol': 'v2',
      });
      client.send(headersFrame(id, headers), frame(frameType.DATA, flag.END_STREAM, id, grpcMessage(body)));
    }
    const isEnd = ({ type, flags }: Seen): boolean =>
      type === frameType.RST_STREAM ||
      ((type === frameType.HEADERS || type === frameType.DATA) && (flags & flag.END_STREAM) !== 0);
    await answered(
      `the end of ${calls.length} calls`,
      client,
      () => client.frames.filter(isEnd).length >= calls.length,
    );
    for (const seen of client.frames) {
      const method = methodOf.get(seen.streamId);
      if (seen.type === frameType.DATA && method !== undefined) this.thrower.note(method);
      this.look(seen.payload, method ?? 'the connection');
    }
    this.thrower.thrown += calls.length;
    client.frames.length = 0;
    if (client.ended || this.nextStream > 2_000) this.close();
  }

  async throwOther(input: Other): Promise<void> {
    if (input.kind === 'opening') {
      const client = await RawH2Client.open(this.port);
      client.send(input.bytes);
      client.socket.end();
      await answered('the end of a connection that began badly', client, never);
      this.look(Buffer.from(client.text, 'latin1'), 'an opening');
    } else {
      const client = await this.open();
      client.send(...input.frames.map(bytesOf));
      if (input.frames.some(({ missingBytes }) => missingBytes > 0)) {
        // The server waits for the rest, which never comes.
        client.socket.end();
        await answered('the end of a connection that was left in the middle of a frame', client, never);
      } else {
        const mark = Buffer.alloc(8, 0xa5);
        client.send(frame(frameType.PING, 0, 0, mark));
        const isEcho = ({ type, flags, payload }: Seen): boolean =>
          type === frameType.PING && (flags & flag.ACK) !== 0 && payload.equals(mark);
        await answered('an answer to bad frames', client, isEcho);
      }
      for (const { payload } of client.frames) this.look(payload, 'frames');
      this.close(); // What state it is in is anyone's guess.
    }
    this.thrower.thrown += 1;
  }

  close(): void {
    this.client?.close();
    this.client = undefined;
  }

  private async open(): Promise<RawH2Client> {
    if (this.client && !this.client.ended) return this.client;
    this.client = await RawH2Client.open(this.port);
    this.nextStream = 1;
    this.client.send(greeting, frame(frameType.WINDOW_UPDATE, 0, 0, windowMost));
    return this.client;
  }

  private look(payload: Buffer, where: string): void {
    const found = insides.exec(payload.toString('latin1'));
    if (found) this.thrower.mistakes.push(`${where}: ${payload.toString('latin1')}`);
  }
}

function bytesOf({ type, flags, streamId, payload, missingBytes }: Frame): Buffer {
  const whole = frame(type, flags, streamId, payload);
  whole.writeUIntBE(payload.length + missingBytes, 0, 3);
  return whole;
}
