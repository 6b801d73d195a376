import { until } from './until.js';

/** What ledgers need of a client, in whatever language it is. */
export interface Sender {
  send(message: {
    readonly topic: string;
    readonly body: Buffer;
    readonly messageGroup?: string;
    readonly deliveryTimestamp?: Date;
  }): Promise<unknown>;
}
export interface Delivered {
  readonly body: Buffer;
  /** 1 for the first. */
  readonly deliveryAttempt?: number | undefined;
}
export interface Receiver<M extends Delivered> {
  receive(max: number, invisibleMs: number): Promise<readonly M[]>;
  ack(message: M): Promise<unknown>;
  shutdown(): Promise<unknown>;
}
interface Placed extends Delivered {
  readonly receiptHandle: string;
}

const restMs = 50;
/** What was handed out while its proxy or broker died comes again after this. */
const invisibleMs = 10_000;
const delays = 10;

/**
 * Counts what must be true through every failure: a message whose send was acknowledged is delivered; one whose
 * consumption was acknowledged is not delivered again; nothing is delivered that was never sent.
 */
export class Ledger {
  /** Sends that were acknowledged. */
  readonly sent = new Set<string>();
  /** Stored messages whose consumption was acknowledged, by queue and offset, and when. */
  private readonly doneAtMs = new Map<string, number>();
  /** Where a body was found. A producer that got no answer sends again, and both may have been stored. */
  private readonly places = new Map<string, Set<string>>();
  private readonly tried = new Set<string>();
  private readonly seen = new Set<string>();
  private readonly again: string[] = [];
  private readonly dueMs = new Map<string, number>();
  private readonly early: string[] = [];
  private readonly senders: Promise<void>[] = [];
  private readonly readers: Promise<void>[] = [];
  private sending = true;
  private reading = true;

  /**
   * @param pauseMs between two sends of a worker
   * @param delayMsMax messages are sent to be delivered so much later, at the most
   */
  constructor(
    private readonly topic: string,
    private readonly pauseMs = 0,
    private readonly delayMsMax = 0,
  ) {}

  /** Sends one message after the other, `workers` at a time, until `settle`. */
  send(producer: Sender, name: string, workers: number): void {
    const send = async (worker: number): Promise<void> => {
      for (let i = 0; this.sending; i += 1) {
        const body = `${name}-${worker}-${i}`;
        this.tried.add(body);
        try {
          await producer.send({ topic: this.topic, body: Buffer.from(body), ...this.due(body, i) });
          this.sent.add(body);
        } catch {
          await rest(restMs); // Unknown: it may come or not.
        }
        if (this.pauseMs > 0) await rest(this.pauseMs);
      }
    };
    for (let worker = 0; worker < workers; worker += 1) this.senders.push(send(worker));
  }

  /** Receives and acknowledges until `settle`. */
  read<M extends Placed>(consumer: Receiver<M>): void {
    const read = async (): Promise<void> => {
      while (this.reading) await this.readOnce(consumer).catch(() => rest(restMs));
    };
    this.readers.push(read());
  }

  /** How many sends and acknowledgements have been answered, and how often a send was stored more than once. */
  get progress(): { readonly sent: number; readonly done: number; readonly storedAgain: number } {
    const storedAgain = [...this.places.values()].reduce((sum, places) => sum + places.size - 1, 0);
    return { sent: this.sent.size, done: this.doneAtMs.size, storedAgain };
  }

  /** Waits until so many more sends have been acknowledged. */
  async more(count: number, why: string): Promise<void> {
    const before = this.sent.size;
    await until(`${count} more acknowledged sends ${why}`, () => this.sent.size >= before + count, 120_000);
  }

  /** Ends the sending, reads what is left, and throws where a promise was broken. */
  async settle(waitMs = 60_000): Promise<void> {
    this.sending = false;
    await Promise.all(this.senders);
    const missing = (): string[] => [...this.sent].filter((body) => !this.seen.has(body));
    try {
      await until('every acknowledged message', () => missing().length === 0, waitMs);
    } catch (caught) {
      const some = missing().slice(0, 5).join(', ');
      throw new Error(`${missing().length} of ${this.sent.size} acknowledged are missing: ${some}`, { cause: caught });
    } finally {
      this.reading = false;
      await Promise.all(this.readers);
    }
    if (this.again.length > 0) throw new Error(`delivered again after its acknowledgement: ${this.again.join(', ')}`);
    if (this.early.length > 0) throw new Error(`delivered before they were due: ${this.early.join(', ')}`);
    const strange = [...this.seen].filter((body) => !this.tried.has(body));
    if (strange.length > 0) throw new Error(`delivered and never sent: ${strange.join(', ')}`);
  }

  /** From now up to the longest delay, one after the other. */
  private due(body: string, number: number): { readonly deliveryTimestamp?: Date } {
    if (this.delayMsMax === 0) return {};
    const dueMs = Date.now() + Math.ceil((((number % delays) + 1) / delays) * this.delayMsMax);
    this.dueMs.set(body, dueMs);
    return { deliveryTimestamp: new Date(dueMs) };
  }

  private async readOnce<M extends Placed>(consumer: Receiver<M>): Promise<void> {
    // An acknowledgement that comes after its lease has ended has no effect, and that is no fault.
    const leaseEndMs = performance.now() + invisibleMs;
    const messages = await consumer.receive(32, invisibleMs);
    for (const message of messages) {
      const body = message.body.toString();
      this.seen.add(body);
      const earlyMs = (this.dueMs.get(body) ?? 0) - Date.now();
      if (earlyMs > 0) this.early.push(`${body} by ${earlyMs} ms`);
      const place = placeOf(message.receiptHandle);
      this.places.set(body, (this.places.get(body) ?? new Set()).add(place));
      const doneMs = this.doneAtMs.get(place);
      if (doneMs !== undefined) {
        const agoMs = Math.round(performance.now() - doneMs);
        this.again.push(`${body} as attempt ${message.deliveryAttempt}, ${agoMs} ms after`);
      }
      await consumer.ack(message).then(
        () => void (performance.now() < leaseEndMs && this.doneAtMs.set(place, performance.now())),
        () => undefined, // Unknown: it may come again or not.
      );
    }
  }
}

const signatureBytes = 12;

/** Broker set, topic, queue and offset of a message, as its receipt handle names them; the client tells neither queue nor set. */
function placeOf(receiptHandle: string): string {
  const bytes = Buffer.from(receiptHandle, 'base64url');
  return bytes.toString('hex', 9, 25) + bytes.toString('latin1', 47, bytes.length - signatureBytes);
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
