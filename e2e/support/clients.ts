import type * as Package from 'rocketmq-client-nodejs';
import type { MessageView, Producer, PushConsumer, SimpleConsumer } from 'rocketmq-client-nodejs';

import { until } from './until.js';

/** Where clients of a test connect to, and how. */
export interface Door {
  /** host:port of a proxy. */
  readonly endpoints: string;
  readonly tls: boolean;
  /** Base URL of the REST API. */
  readonly restUrl: string;
  /** Where there are users: whose the clients are, and a token of an admin for the REST API. */
  readonly user?: { readonly accessKey: string; readonly accessSecret: string; readonly adminToken: string };
}

function ignore(): void {
  // The client's own log.
}
const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;

/** Makes clients of the official package for one test, and ends them all in the order opposite to their start. */
export class Clients {
  private readonly running: { shutdown(): Promise<void> }[] = [];

  /** @param load the package; loaded late where what it trusts has to be set before */
  constructor(
    private readonly load: () => Promise<typeof Package>,
    private readonly door: () => Door,
  ) {}

  async producer(options: { requestTimeout?: number; topics?: string[] } = {}): Promise<Producer> {
    const { Producer: Make } = await this.load();
    return this.begin(new Make({ ...this.common(), ...options }));
  }

  /** One whose transactions nobody decides. */
  async transactional(topic: string): Promise<Producer> {
    const { Producer: Make } = await this.load();
    // The package does not export its word for "not known yet".
    const checker = { check: () => Promise.resolve(0) } as never;
    return this.begin(new Make({ ...this.common(), topics: [topic], checker }));
  }

  async simple(consumerGroup: string, topic: string, filter = '*', door?: Door): Promise<SimpleConsumer> {
    const { SimpleConsumer: Make } = await this.load();
    const subscriptions = new Map([[topic, filter]]);
    return this.begin(new Make({ ...this.common(door), consumerGroup, subscriptions, awaitDuration: 3_000 }));
  }

  async simpleOf(consumerGroup: string, topics: readonly string[]): Promise<SimpleConsumer> {
    const { SimpleConsumer: Make } = await this.load();
    const subscriptions = new Map(topics.map((topic) => [topic, '*']));
    return this.begin(new Make({ ...this.common(), consumerGroup, subscriptions, awaitDuration: 3_000 }));
  }

  /** @param take says whether a message is done with */
  async push(consumerGroup: string, topic: string, take: (message: MessageView) => boolean): Promise<PushConsumer> {
    const { PushConsumer: Make, ConsumeResult } = await this.load();
    const consume = async (message: MessageView): Promise<Package.ConsumeResult> =>
      take(message) ? ConsumeResult.SUCCESS : ConsumeResult.FAILURE;
    const subscriptions = new Map([[topic, '*']]);
    return this.begin(new Make({ ...this.common(), consumerGroup, subscriptions, messageListener: { consume } }));
  }

  /** Calls the REST API. Answers the JSON it answers. @throws Error with the answer where it is no success */
  async rest<T = void>(method: string, path: string, body?: unknown): Promise<T> {
    const { restUrl, user } = this.door();
    const headers = {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(user && { authorization: `Bearer ${user.adminToken}` }),
    };
    const answer = await fetch(`${restUrl}/api/v1${path}`, {
      ...{ method, headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  async end(): Promise<void> {
    const failures: unknown[] = [];
    for (const client of this.running.splice(0).reverse()) {
      await client.shutdown().catch((caught: unknown) => failures.push(caught)); // The others are ended all the same.
    }
    if (failures.length > 0) throw new Error('a client could not be ended', { cause: failures[0] });
  }

  private async begin<T extends { startup(): Promise<void>; shutdown(): Promise<void> }>(client: T): Promise<T> {
    this.running.push(client); // One that did not start has timers and connections all the same.
    await client.startup();
    return client;
  }

  private common(door = this.door()): {
    endpoints: string;
    namespace: string;
    sslEnabled: boolean;
    logger: never;
    sessionCredentials?: { accessKey: string; accessSecret: string };
  } {
    const { accessKey, accessSecret } = door.user ?? {};
    const named = accessKey !== undefined && accessSecret !== undefined;
    return {
      ...{ endpoints: door.endpoints, namespace: '', sslEnabled: door.tls, logger: quiet },
      ...(named && { sessionCredentials: { accessKey, accessSecret } }),
    };
  }
}

/** Receives until so many have come. */
export async function receive(from: SimpleConsumer, count: number): Promise<MessageView[]> {
  const found: MessageView[] = [];
  await until(`${count} messages`, async () => {
    found.push(...(await from.receive(32, 15_000)));
    return found.length >= count;
  });
  return found;
}

export const bodiesOf = (messages: readonly MessageView[]): string[] =>
  messages.map(({ body }) => body.toString()).sort();
