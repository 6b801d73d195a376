/** What a feature's check is given: one client's driver, a server to make topics and groups on, and short words for both. */
import assert from 'node:assert/strict';

import { until } from '../../support/until.js';
import type { Admin, GroupDraft, TopicType } from './admin.js';
import {
  ClientError,
  Unanswered,
  type Driver,
  type Failures,
  type Receipt,
  type Resolution,
  type SaidMessage,
  type SaidSubscription,
  type View,
} from './calls.js';

/** What differs between clients and is no fault. */
export interface Traits {
  /** The largest body that goes through the client both ways. */
  readonly bodyBytesMax: number;
  /** Delivery times in whole seconds only. */
  readonly wholeSeconds?: boolean;
  /**
   * Its library now and then loses the answer to a call when one process has several clients, and the call never ends. A
   * receive that was lost so is made again: its messages come back when their lease has ended.
   */
  readonly losesAnswers?: boolean;
  /** It has no push consumer; order and retries are looked at with the simple one. */
  readonly noPush?: boolean;
}

export type Sent = Omit<SaidMessage, 'topic' | 'body'>;

const waitMsMax = 90_000;
const awaitMs = 3_000;
/** The least that the protocol allows. */
export const invisibleMsMin = 10_000;

/** The other clients, for what all go through together. */
export interface Crowd {
  readonly topic: string;
  meet(): Promise<number>;
}

export class Scene {
  private readonly opened: string[] = [];

  constructor(
    readonly driver: Driver,
    readonly admin: Admin,
    readonly traits: Traits,
    /** In every name, so that scenes don't meet. */
    private readonly mark: string,
    private readonly crowd?: Crowd,
  ) {}

  /** Waits until everybody has come this far, and what is to happen then has. @returns how many have */
  meet(): Promise<number> {
    assert(this.crowd, 'nobody else is here');
    return this.crowd.meet();
  }

  /** A topic of all clients of the run. */
  get sharedTopic(): string {
    assert(this.crowd, 'nobody else is here');
    return this.crowd.topic;
  }

  async topic(type: TopicType, name = 'topic'): Promise<string> {
    const full = this.named(name);
    await this.admin.createTopic({ name: full, type });
    return full;
  }

  async group(draft: Omit<GroupDraft, 'name'> = {}, name = 'group'): Promise<string> {
    const full = this.named(name);
    await this.admin.createGroup({ name: full, ...draft });
    return full;
  }

  named(name: string): string {
    return `${this.mark}-${name}`;
  }

  async producer(topic: string, checker?: Resolution): Promise<Producer> {
    const as = this.open('producer');
    await this.driver.call('producer', { as, topics: [topic], ...(checker && { checker }) });
    return new Producer(this.driver, as, topic);
  }

  async simple(group: string, topic: string, filter = '*', kind: SaidSubscription['kind'] = 'tag'): Promise<Reader> {
    const as = this.open('simple');
    await this.driver.call('simple', { as, group, awaitMs, subscriptions: [{ topic, filter, kind }] });
    return new Reader(this.driver, as, this.traits.losesAnswers);
  }

  async liteSimple(group: string, topic: string): Promise<Reader> {
    const as = this.open('liteSimple');
    await this.driver.call('liteSimple', { as, group, topic, awaitMs });
    return new Reader(this.driver, as, this.traits.losesAnswers);
  }

  async push(
    group: string,
    topic: string,
    { filter = '*', kind = 'tag', fail = {} }: { filter?: string; kind?: 'tag' | 'sql'; fail?: Failures } = {},
  ): Promise<Listener> {
    const as = this.open('push');
    await this.driver.call('push', { as, group, subscriptions: [{ topic, filter, kind }], fail });
    return new Listener(this.driver, as);
  }

  async litePush(group: string, topic: string, fail: Failures = {}): Promise<Listener> {
    const as = this.open('litePush');
    await this.driver.call('litePush', { as, group, topic, fail });
    return new Listener(this.driver, as);
  }

  /** The dead-letter topic comes into being with its first message. */
  async deadLetters(group: string): Promise<Reader> {
    const topic = `%DLQ%${group}`;
    await until(`the topic ${topic}`, () => this.admin.hasTopic(topic), waitMsMax);
    return this.simple(this.named('undertaker'), topic);
  }

  /** A moment from now on that the client can say. */
  dueIn(ms: number): number {
    const atMs = Date.now() + ms;
    return this.traits.wholeSeconds ? Math.ceil(atMs / 1000) * 1000 : atMs;
  }

  async close(): Promise<void> {
    for (const as of this.opened.reverse()) await this.driver.call('close', { as }).catch(() => undefined);
  }

  private open(kind: string): string {
    const as = `${this.mark}-${kind}-${this.opened.length}`;
    this.opened.push(as);
    return as;
  }
}

export class Producer {
  constructor(
    private readonly driver: Driver,
    readonly as: string,
    private readonly topic: string,
  ) {}

  /** Sends a message for each body, in order. */
  send(bodies: readonly (string | Buffer)[], more: Sent = {}): Promise<readonly Receipt[]> {
    return this.sendAll(bodies.map((body) => ({ body, ...more })));
  }

  async sendOne(body: string | Buffer, more: Sent = {}): Promise<Receipt> {
    const [receipt] = await this.send([body], more);
    assert(receipt);
    return receipt;
  }

  async sendAll(messages: readonly (Sent & { body: string | Buffer })[], async = false): Promise<readonly Receipt[]> {
    const said = messages.map(({ body, ...more }) => ({ topic: this.topic, body: encode(body), ...more }));
    const { receipts } = await this.driver.call('send', { as: this.as, messages: said, async });
    return receipts;
  }

  transaction(body: string, end: 'commit' | 'rollback' | 'leave'): Promise<Receipt> {
    return this.driver.call('transaction', { as: this.as, message: { topic: this.topic, body: encode(body) }, end });
  }

  recall(handle: string): Promise<{ messageId: string }> {
    return this.driver.call('recall', { as: this.as, topic: this.topic, handle });
  }

  /** Bodies of the messages whose transactions this producer was asked about. */
  checked(): string[] {
    return this.driver
      .events(this.as)
      .filter(({ event }) => event === 'check')
      .map(({ message }) => bodyOf(message));
  }
}

/** A simple consumer. */
export class Reader {
  constructor(
    private readonly driver: Driver,
    private readonly as: string,
    private readonly losesAnswers = false,
  ) {}

  async poll(max = 32, invisibleMs = invisibleMsMin): Promise<readonly View[]> {
    try {
      const { messages } = await this.driver.call('receive', { as: this.as, max, invisibleMs });
      return messages;
    } catch (caught) {
      if (this.losesAnswers && caught instanceof Unanswered) return [];
      throw caught;
    }
  }

  /** Polls until so many have come, in the order of their coming. */
  async take(count: number, max = 32, invisibleMs = 30_000): Promise<View[]> {
    const found: View[] = [];
    await until(
      () => `${count} messages, ${found.length} came`,
      async () => {
        found.push(...(await this.poll(max, invisibleMs)));
        return found.length >= count;
      },
      waitMsMax,
    );
    return found;
  }

  /** The same, acknowledging each. */
  async drain(count: number, max = 32): Promise<View[]> {
    const found: View[] = [];
    await until(
      () => `${count} messages, ${found.length} came`,
      async () => {
        const some = await this.poll(max, 30_000);
        for (const message of some) await this.ack(message);
        found.push(...some);
        return found.length >= count;
      },
      waitMsMax,
    );
    return found;
  }

  async ack({ ref }: View): Promise<void> {
    await this.driver.call('ack', { as: this.as, ref });
  }

  async changeInvisible({ ref }: View, ms: number): Promise<void> {
    await this.driver.call('invisible', { as: this.as, ref, ms });
  }

  async subscribe(topic: string, filter = '*', kind: SaidSubscription['kind'] = 'tag'): Promise<void> {
    await this.driver.call('subscribe', { as: this.as, topic, filter, kind });
  }

  async unsubscribe(topic: string): Promise<void> {
    await this.driver.call('unsubscribe', { as: this.as, topic });
  }

  async subscribeLite(liteTopic: string, from?: 'first' | 'end'): Promise<void> {
    await this.driver.call('subscribeLite', { as: this.as, liteTopic, ...(from && { from }) });
  }

  async unsubscribeLite(liteTopic: string): Promise<void> {
    await this.driver.call('unsubscribeLite', { as: this.as, liteTopic });
  }
}

/** A push consumer and what its listener was called with. */
export class Listener {
  constructor(
    private readonly driver: Driver,
    private readonly as: string,
  ) {}

  heard(): readonly { readonly failed: boolean; readonly message: View }[] {
    return this.driver
      .events(this.as)
      .filter(({ event }) => event === 'message')
      .map(({ failed = false, message }) => ({ failed, message }));
  }

  /** Waits until so many have been taken, and gives them in the order of their coming. */
  async taken(count: number): Promise<View[]> {
    const taken = (): View[] => this.heard().flatMap(({ failed, message }) => (failed ? [] : [message]));
    await until(
      () => `${count} messages taken, ${taken().length} were`,
      () => taken().length >= count,
      waitMsMax,
    );
    return taken();
  }

  /** Waits until the listener has been called so often, failures included. */
  async called(count: number): Promise<View[]> {
    await until(
      () => `${count} calls of the listener, ${this.heard().length} came`,
      () => this.heard().length >= count,
      waitMsMax,
    );
    return this.heard().map(({ message }) => message);
  }

  async subscribeLite(liteTopic: string, from?: 'first' | 'end'): Promise<void> {
    await this.driver.call('subscribeLite', { as: this.as, liteTopic, ...(from && { from }) });
  }

  async unsubscribeLite(liteTopic: string): Promise<void> {
    await this.driver.call('unsubscribeLite', { as: this.as, liteTopic });
  }

  async close(): Promise<void> {
    await this.driver.call('close', { as: this.as });
  }
}

export const bodyOf = ({ body }: View): string => Buffer.from(body, 'base64').toString();
export const bodiesOf = (views: readonly View[]): string[] => views.map(bodyOf);
export const sorted = (texts: readonly string[]): string[] => [...texts].sort();
export const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}${String(i).padStart(3, '0')}`);

function encode(body: string | Buffer): string {
  return Buffer.from(body as string).toString('base64');
}

/**
 * The act must fail with the protocol's code. A client that refuses by itself, before it asks the server, tells no code:
 * that is good too, the user hears of the mistake. `byServer`: no client can know of this mistake.
 */
export async function refused(
  code: number,
  act: () => Promise<unknown>,
  { byServer = false }: { byServer?: boolean } = {},
): Promise<void> {
  try {
    await act();
  } catch (caught) {
    if (!(caught instanceof ClientError)) throw caught;
    if (caught.code !== undefined || byServer) assert.equal(caught.code, code, `${caught.name}: ${caught.message}`);
    return;
  }
  assert.fail(`nothing was refused, and code ${code} was expected`);
}
