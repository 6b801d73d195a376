/** A driver that is no client, but says what one of those clients would say that are not run here themselves. */
import { randomUUID } from 'node:crypto';

import {
  ClientType,
  Code,
  FilterType,
  LiteSubscriptionAction,
  TransactionResolution,
  TransactionSource,
  type Message,
  type MessageQueue,
  type Settings,
} from '@cometmq/proto';
import { until } from '../../../support/until.js';
import type { CallName, Calls, Driver, DriverEvent, Receipt, SaidMessage, SaidSubscription } from '../calls.js';
import type { Target } from '../process-driver.js';
import type { Dialect } from './dialects.js';
import { checkQueue, durationOf, messageOf, viewOf } from './messages.js';
import { PushLoop } from './push-loop.js';
import type { Held, Speaker } from './speaker.js';
import { check, Wire, type Loose } from './wire.js';

const requestMs = 3_000;
const resolutions = {
  commit: TransactionResolution.COMMIT,
  rollback: TransactionResolution.ROLLBACK,
  unknown: TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED,
};
const filterTypes = { tag: FilterType.TAG, sql: FilterType.SQL };

type Handlers = { readonly [Name in CallName]?: (args: Calls[Name][0]) => Promise<Calls[Name][1]> };

export class WireDriver implements Driver {
  private readonly speakers = new Map<string, Speaker>();
  private readonly held = new Map<string, Held>();
  private readonly heard: DriverEvent[] = [];
  private refs = 0;

  constructor(
    private readonly dialect: Dialect,
    private readonly target: Target,
  ) {}

  async call<Name extends CallName>(name: Name, args: Calls[Name][0]): Promise<Calls[Name][1]> {
    const handler = this.handlers[name] as ((args: Calls[Name][0]) => Promise<Calls[Name][1]>) | undefined;
    if (handler === undefined) throw new Error(`the ${this.dialect.language} client cannot ${name}`);
    return handler(args);
  }

  events(as: string): readonly DriverEvent[] {
    return this.heard.filter((event) => event.as === as);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.speakers.keys()].map((as) => this.close(as).catch(() => undefined)));
  }

  private readonly handlers: Handlers = {
    producer: async ({ as, topics, checker }) => {
      const speaker = await this.open(as, { type: ClientType.PRODUCER, topics });
      speaker.telemetry.onCommand = ({ command }) => {
        if (command?.$case !== 'recoverOrphanedTransactionCommand' || checker === undefined) return;
        const { message, transactionId } = command.value;
        if (message === undefined) throw new Error('a check without its message');
        this.heard.push({ event: 'check', as, message: viewOf(message, this.ref()) });
        const source = TransactionSource.SOURCE_SERVER_CHECK;
        void this.end(speaker, message, transactionId, resolutions[checker], source).catch(() => undefined);
      };
      for (const topic of topics) await this.queues(speaker, topic);
      return {};
    },
    send: async ({ as, messages }) => {
      const receipts: Receipt[] = [];
      for (const message of messages) receipts.push((await this.send(this.speaker(as), message)).receipt);
      return { receipts };
    },
    transaction: async ({ as, message, end }) => {
      const speaker = this.speaker(as);
      const { receipt, transactionId } = await this.send(speaker, message, true);
      const sent = { topic: { name: message.topic }, systemProperties: { messageId: receipt.messageId } };
      if (end !== 'leave') {
        await this.end(speaker, sent as Message, transactionId, resolutions[end], TransactionSource.SOURCE_CLIENT);
      }
      return receipt;
    },
    recall: async ({ as, topic, handle }) => {
      const request = { topic: { name: topic }, recallHandle: handle };
      return { messageId: (await this.speaker(as).wire.ok('recallMessage', request)).messageId };
    },
    simple: async ({ as, group, awaitMs, subscriptions }) => {
      const topics = subscriptions.map(({ topic }) => topic);
      const speaker = await this.open(as, { type: ClientType.SIMPLE_CONSUMER, group, topics, subscriptions, awaitMs });
      for (const topic of topics) await this.queues(speaker, topic);
      return {};
    },
    receive: async ({ as, max, invisibleMs }) => ({ messages: await this.receive(as, max, invisibleMs) }),
    ack: async ({ as, ref }) => {
      const held = this.holding(ref);
      await this.ack(this.speaker(as), held);
      return {};
    },
    invisible: async ({ as, ref, ms }) => {
      await this.change(this.speaker(as), this.holding(ref), ms);
      return {};
    },
    subscribe: async ({ as, ...subscription }) => {
      this.speaker(as).subscriptions.set(subscription.topic, subscription);
      return {};
    },
    unsubscribe: async ({ as, topic }) => {
      this.speaker(as).subscriptions.delete(topic);
      return {};
    },
    push: async ({ as, group, subscriptions, fail }) => {
      const topics = subscriptions.map(({ topic }) => topic);
      const speaker = await this.open(as, { type: ClientType.PUSH_CONSUMER, group, topics, subscriptions });
      for (const { topic } of subscriptions) this.poll(as, speaker, topic, fail);
      return {};
    },
    litePush: async ({ as, group, topic, fail }) => {
      const subscriptions = [{ topic, filter: '*', kind: 'tag' as const }];
      const speaker = await this.open(as, {
        type: ClientType.LITE_PUSH_CONSUMER,
        group,
        topics: [topic],
        subscriptions,
      });
      this.poll(as, speaker, topic, fail);
      return {};
    },
    subscribeLite: ({ as, liteTopic }) => this.sync(as, LiteSubscriptionAction.PARTIAL_ADD, liteTopic),
    unsubscribeLite: ({ as, liteTopic }) => this.sync(as, LiteSubscriptionAction.PARTIAL_REMOVE, liteTopic),
    close: async ({ as }) => {
      await this.close(as);
      return {};
    },
  };

  /** Connects, says its settings first and waits for the server's, as these clients do before anything else. */
  private async open(
    as: string,
    said: {
      type: ClientType;
      topics: readonly string[];
      group?: string;
      subscriptions?: readonly SaidSubscription[];
      awaitMs?: number;
    },
  ): Promise<Speaker> {
    const clientId = `${this.dialect.language}@${randomUUID()}`;
    const wire = new Wire(this.target, () => this.dialect.headers(clientId));
    const telemetry = wire.telemetry();
    const speaker: Speaker = {
      wire,
      telemetry,
      type: said.type,
      group: said.group,
      subscriptions: new Map(said.subscriptions?.map((one) => [one.topic, one])),
      awaitMs: said.awaitMs ?? 0,
      loops: [],
      settings: undefined,
      rotation: 0,
      heartbeat: undefined,
    };
    this.speakers.set(as, speaker);
    telemetry.write({ command: { $case: 'settings', value: this.settingsOf(said) } });
    await until('the settings', () => telemetry.commands.length > 0 || telemetry.ended, 10_000);
    const [first] = telemetry.commands;
    if (first === undefined) throw new Error(`telemetry ended: ${telemetry.order.join(', ')}`);
    check(first.status);
    if (first.command?.$case !== 'settings') throw new Error('the first command holds no settings');
    speaker.settings = first.command.value;
    const beat = { clientType: said.type, ...(said.group !== undefined && { group: { name: said.group } }) };
    speaker.heartbeat = setInterval(() => void wire.unary('heartbeat', beat).catch(() => undefined), 10_000);
    return speaker;
  }

  private settingsOf(said: {
    type: ClientType;
    topics: readonly string[];
    group?: string;
    subscriptions?: readonly SaidSubscription[];
  }): Loose<Settings> {
    const { dialect } = this;
    const topics = dialect.producerWithoutTopics === true ? [] : said.topics.map((name) => ({ name }));
    const subscriptions = said.subscriptions?.map(({ topic, filter, kind }) => ({
      topic: { name: topic },
      expression: { expression: filter, type: filterTypes[kind] },
    }));
    return {
      clientType: said.type,
      ...(dialect.bareSettings !== true && { requestTimeout: durationOf(requestMs) }),
      userAgent: { language: dialect.wireLanguage, version: dialect.version, platform: 'test', hostname: 'test' },
      pubSub:
        said.type === ClientType.PRODUCER
          ? { $case: 'publishing', value: { topics, maxBodySize: 0, validateMessageType: false } }
          : { $case: 'subscription', value: { group: { name: said.group ?? '' }, subscriptions } },
    };
  }

  private async queues({ wire }: Speaker, topic: string): Promise<MessageQueue[]> {
    const { messageQueues } = await wire.ok('queryRoute', { topic: { name: topic } });
    return messageQueues.map((queue) => checkQueue(queue, topic));
  }

  private async send(
    speaker: Speaker,
    said: SaidMessage,
    inTransaction = false,
  ): Promise<{ receipt: Receipt; transactionId: string }> {
    await this.queues(speaker, said.topic);
    const messages = [messageOf(said, this.dialect, inTransaction)];
    const answer = await speaker.wire.unary('sendMessage', { messages });
    const [entry] = answer.entries;
    check(entry?.status ?? answer.status);
    check(answer.status);
    if (entry === undefined) throw new Error('an answer without an entry');
    const { messageId, recallHandle, transactionId } = entry;
    return { receipt: { messageId, recallHandle: recallHandle === '' ? null : recallHandle }, transactionId };
  }

  private async end(
    { wire }: Speaker,
    { topic, systemProperties }: Message,
    transactionId: string,
    resolution: TransactionResolution,
    source: TransactionSource,
  ): Promise<void> {
    const messageId = systemProperties?.messageId ?? '';
    const said = this.dialect.endWithoutSource === true ? {} : { source };
    await wire.ok('endTransaction', { topic, messageId, transactionId, resolution, ...said });
  }

  /** Simple consumers of these clients go round the queues, or round what they were assigned. */
  private async receive(as: string, max: number, invisibleMs: number): Promise<ReturnType<typeof viewOf>[]> {
    const speaker = this.speaker(as);
    const { group = '', subscriptions, wire } = speaker;
    const [...topics] = subscriptions.values();
    const subscription = topics[speaker.rotation % topics.length];
    if (subscription === undefined) throw new Error('no subscription');
    const { topic, filter, kind } = subscription;
    const queues = this.dialect.simpleAsksAssignments
      ? await this.assigned(speaker, topic)
      : await this.queues(speaker, topic);
    const messageQueue = queues[Math.floor(speaker.rotation / topics.length) % queues.length];
    speaker.rotation += 1;
    const pollMs = this.dialect.simplePollMs;
    const { status, messages } = await wire.receive(
      {
        group: { name: group },
        messageQueue,
        filterExpression: { expression: filter, type: filterTypes[kind] },
        batchSize: max,
        invisibleDuration: durationOf(invisibleMs),
        autoRenew: false,
        ...(pollMs !== undefined && { longPollingTimeout: durationOf(pollMs) }),
        ...(this.dialect.language === 'PHP' && { attemptId: randomUUID() }),
      },
      (pollMs ?? speaker.awaitMs) + requestMs,
    );
    if (status.code !== Code.MESSAGE_NOT_FOUND) check(status);
    return messages.map((message) => viewOf(message, this.hold(message, topic, group)));
  }

  async assigned({ wire, group = '' }: Speaker, topic: string): Promise<MessageQueue[]> {
    const { assignments } = await wire.ok('queryAssignment', { topic: { name: topic }, group: { name: group } });
    return assignments.map(({ messageQueue }) => {
      if (messageQueue === undefined) throw new Error('an assignment without a queue');
      return checkQueue(messageQueue, topic);
    });
  }

  private poll(as: string, speaker: Speaker, topic: string, fail: Readonly<Record<string, number>>): void {
    const filter = speaker.subscriptions.get(topic);
    const loop = new PushLoop({
      dialect: this.dialect,
      speaker,
      topic,
      expression: { expression: filter?.filter ?? '*', type: filterTypes[filter?.kind ?? 'tag'] },
      fail,
      assigned: () => this.assigned(speaker, topic),
      take: (message, failed) => {
        const ref = this.hold(message, topic, speaker.group ?? '');
        this.heard.push({ event: 'message', as, failed, message: viewOf(message, ref) });
        return this.holding(ref);
      },
      ack: (held) => this.ack(speaker, held),
      change: (held, ms) => this.change(speaker, held, ms),
    });
    speaker.loops.push(loop);
    loop.start();
  }

  private async ack({ wire }: Speaker, { group, topic, handle, message }: Held): Promise<void> {
    const messageId = message.systemProperties?.messageId ?? '';
    const entries = [{ messageId, receiptHandle: handle }];
    const answer = await wire.unary('ackMessage', { group: { name: group }, topic: { name: topic }, entries });
    check(answer.entries[0]?.status ?? answer.status);
  }

  private async change({ wire }: Speaker, held: Held, ms: number): Promise<void> {
    const { receiptHandle } = await wire.ok('changeInvisibleDuration', {
      group: { name: held.group },
      topic: { name: held.topic },
      receiptHandle: held.handle,
      invisibleDuration: durationOf(ms),
      messageId: held.message.systemProperties?.messageId ?? '',
    });
    if (receiptHandle === '') throw new Error('a change without a handle');
    if (this.dialect.keepsFirstHandle !== true) held.handle = receiptHandle;
  }

  private async sync(as: string, action: LiteSubscriptionAction, liteTopic: string): Promise<object> {
    const { wire, group = '', subscriptions } = this.speaker(as);
    const [topic = ''] = subscriptions.keys();
    await wire.ok('syncLiteSubscription', {
      action,
      topic: { name: topic },
      group: { name: group },
      liteTopicSet: [liteTopic],
    });
    return {};
  }

  private async close(as: string): Promise<void> {
    const speaker = this.speakers.get(as);
    if (speaker === undefined) return;
    this.speakers.delete(as);
    clearInterval(speaker.heartbeat);
    for (const loop of speaker.loops) loop.stop();
    const silent = this.dialect.leavesSilently === true && speaker.type === ClientType.PRODUCER;
    const group = speaker.group === undefined ? {} : { group: { name: speaker.group } };
    if (!silent) await speaker.wire.unary('notifyClientTermination', group).catch(() => undefined);
    speaker.telemetry.close();
    speaker.wire.close();
  }

  private hold(message: Message, topic: string, group: string): string {
    const ref = this.ref();
    this.held.set(ref, { message, topic, group, handle: message.systemProperties?.receiptHandle ?? '' });
    return ref;
  }

  private holding(ref: string): Held {
    const held = this.held.get(ref);
    if (held === undefined) throw new Error(`nothing is held as ${ref}`);
    return held;
  }

  private speaker(as: string): Speaker {
    const speaker = this.speakers.get(as);
    if (speaker === undefined) throw new Error(`nobody is called ${as}`);
    return speaker;
  }

  private ref(): string {
    return `m${(this.refs += 1)}`;
  }
}
