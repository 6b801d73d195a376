/**
 * Telemetry: settings from the client, settings and commands from the server, for as long as the client lives.
 *
 * Each settings command is answered by one command with both status and settings. A rejection is a command with only
 * the status, then the end of the stream: Node.js fails its start on nothing else. The session outlives the stream.
 * Commands that the server doesn't know are skipped.
 *
 * A stream is ended for what can't be read, for a group that can't be joined, for a user who may use none of what it names, or
 * is no user any more; never for load: whoever says more than
 * is answered is read no further until it is, and so is whoever doesn't read the answers. Go says its settings once for
 * each send that is under way, hundreds at a time. A topic whose name is illegal is left out: the call that uses it is
 * told so.
 */
import type { ConsumerGroup, FilterExpression } from '@cometmq/model';
import { groupName, topicName } from '@cometmq/model';
import {
  ClientType,
  Language,
  type Publishing,
  type Settings,
  type Subscription,
  TelemetryCommand,
  type FilterExpression as WireFilter,
} from '@cometmq/proto';
import type { BidiHandler, CallContext, MessageSink, MessageSource } from '@cometmq/rpc';
import { assert, MqError, sleep, type Timer } from '@cometmq/shared';

import type { Caller } from '../caller.js';
import { type ProxyContext, RpcMeter } from '../proxy-context.js';
import { rules } from '../rules.js';
import { streamEnded } from '../good-bye.js';
import type { ClientSession, CommandStream } from '../sessions.js';
import { type Outcome, ok, outcomeOf } from '../status.js';
import { decode, failureOf } from './cold-call.js';
import { commandAnswer } from './command-words.js';
import { isConsumer, openSession } from './heartbeat.js';
import { filterExpression } from './receive-request.js';
import { liteGroup } from './lite-group.js';
import { consumerSettings, producerSettings } from './settings.js';

export function telemetry(context: ProxyContext): BidiHandler {
  const meter = new RpcMeter('Telemetry', context);
  return (call, input, out) => {
    const stream = new TelemetryStream(context, meter, call, input, out);
    if (context.streams.size >= context.limits.streamsMax) {
      context.counters.throttled.streams += 1;
      stream.refuse(
        new MqError('TOO_MANY_REQUESTS', `this node holds ${context.streams.size} Telemetry streams already`),
      );
      return;
    }
    input.onMessage((bytes) => stream.take(bytes));
    input.onEnd(() => stream.end());
    call.onCancel(() => stream.closed());
    context.streams.add(stream);
  };
}

/** Settings that wait to be answered, each for the one before, or for a group to be made; then no more is read. */
const waitingMax = 16;
/** The name service is asked again so often while it gives no answer about a group. */
/** The header of Node.js names a protocol; its settings name the language. */
function announcedBy(header: string, { userAgent }: Settings): string | undefined {
  const language = userAgent?.language ?? Language.LANGUAGE_UNSPECIFIED;
  if (header !== 'HTTP' || language === Language.LANGUAGE_UNSPECIFIED) return undefined;
  return Object.entries(Language).find(([, number]) => number === language)?.[0];
}

const askAgainMs = 500;
/** What decoded settings take in memory, for a byte on the wire. */
const bytesKeptFor = 3;

/** What a group's settings make of a client's, to see whether they have changed. */
function policyOf({ backoffPolicy, pubSub }: Settings): string {
  return JSON.stringify([backoffPolicy, pubSub?.$case === 'subscription' && pubSub.value.fifo]);
}

/**
 * The official Node.js client listens for its settings only once it has the routes of all its topics, and opens the
 * stream with the first of them: an answer that came before is lost on it, and it waits for ever. So it is told again,
 * so long after its first settings each. What comes twice does it no harm.
 */
const againMs = [100, 300, 1_000, 3_000, 10_000, 30_000];
const againLanguage = 'HTTP';

interface Kept {
  readonly settings: Settings;
  readonly subscription: Subscription;
  readonly group: string;
  readonly bytes: number;
  told: string;
}

class TelemetryStream implements CommandStream {
  /** Known from the first command on, by the headers the stream was opened with. */
  private caller: Caller | undefined;
  /** What the client said last that needs a permission: looked at again when its user changes. */
  private permitted: ((caller: Caller) => void) | undefined;
  /** Commands are answered in their order, also when one has to wait for the name service. */
  private answers: Promise<void> = Promise.resolve();
  private waiting = 0;
  /** The client has not read what it was told. */
  private unread = false;
  private paused = false;
  /** What a consumer said last, and what it was answered: told again when its group changes. */
  private consumer: Kept | undefined;
  /** What a client that may have missed it is told again. */
  private answered: Uint8Array | undefined;
  private again: Timer | undefined;

  constructor(
    private readonly context: ProxyContext,
    private readonly meter: RpcMeter,
    private readonly call: CallContext,
    private readonly input: MessageSource,
    private readonly out: MessageSink,
  ) {
    out.onDrain(() => {
      this.unread = false;
      this.flow();
    });
  }

  get connection(): number {
    return this.call.connection;
  }

  private get clientId(): string {
    return this.caller?.clientId ?? '';
  }

  refuse(error: MqError): void {
    this.reject(error, this.context.clock.monotonicMs());
  }

  take(bytes: Uint8Array): void {
    const startMs = this.context.clock.monotonicMs();
    let said: TelemetryCommand;
    try {
      this.caller = this.known(startMs);
      said = decode(this.context, TelemetryCommand, bytes, this.context.limits.listFieldsMax);
    } catch (caught) {
      this.reject(caught, startMs);
      return;
    }
    if (said.command?.$case !== 'settings') {
      const answer = commandAnswer(said);
      if (answer) this.context.commands.answered(this.caller.clientId, answer);
      return;
    }
    const settings = said.command.value;
    this.waiting += 1;
    this.flow();
    this.answers = this.answers
      .then(() => this.settle(settings, bytes.length))
      .then(
        (merged) => this.answer(ok, merged, startMs),
        (caught: unknown) => this.reject(caught, startMs),
      )
      .finally(() => {
        this.waiting -= 1;
        this.flow();
      });
  }

  /** The age of the signature is looked at once, as the stream outlives it; who the user is, each time. */
  private known(nowMs: number): Caller {
    const { context } = this;
    if (!this.caller) return context.callerOf(this.meter, this.call, noBytes, nowMs);
    const caller = context.renewed(this.caller);
    context.sessions.touch(caller.clientId, caller.principal.name, nowMs, false);
    return caller;
  }

  recheck(): void {
    if (!this.caller || this.caller.principal.current || !this.out.open) return;
    try {
      this.caller = this.context.renewed(this.caller);
      this.permitted?.(this.caller);
    } catch (caught) {
      this.reject(caught, this.context.clock.monotonicMs());
    }
  }

  /** Left out while the client doesn't read: whoever asks, asks again. */
  push(command: Uint8Array): boolean {
    if (this.unread || !this.out.open) return false;
    this.write(command);
    return true;
  }

  private write(command: Uint8Array): void {
    if (!this.out.write(command)) this.unread = true;
  }

  /** The client is read as fast as it is answered and reads the answers. */
  private flow(): void {
    const full = this.unread || this.waiting >= waitingMax;
    if (full === this.paused || !this.out.open) return;
    this.paused = full;
    if (full) this.input.pause();
    else this.input.resume();
  }

  groupChanged(group: ConsumerGroup): void {
    const { consumer, context } = this;
    if (consumer?.group !== group.name || !this.out.open) return;
    const session = context.sessions.get(this.clientId);
    // C++ joins each list of delays to the one before.
    if (session?.stream !== this || session.language === 'CPP') return;
    const merged = consumerSettings(consumer.settings, consumer.subscription, group, session.language, context.limits);
    const told = policyOf(merged);
    if (told === consumer.told) return;
    const command = { $case: 'settings' as const, value: merged };
    if (this.push(TelemetryCommand.encode({ status: { ...ok }, command }).finish())) consumer.told = told;
  }

  end(): void {
    this.closed();
    this.out.end();
  }

  closed(): void {
    this.context.streams.delete(this);
    this.keep(undefined);
    this.remember(undefined);
    this.again?.cancel();
    const session = this.context.sessions.get(this.clientId);
    if (!session?.streams.delete(this)) return;
    if (session.stream === this) {
      session.stream = [...session.streams].at(-1);
      this.context.sessions.changed();
    }
    streamEnded(this.context, session, this.connection);
  }

  /** Registers the client and completes its settings. */
  private async settle(settings: Settings, bytes: number): Promise<Settings> {
    if (settings.pubSub?.$case === 'publishing') return this.settleProducer(settings, settings.pubSub.value);
    if (settings.pubSub?.$case === 'subscription') return this.settleConsumer(settings, settings.pubSub.value, bytes);
    throw new MqError('BAD_REQUEST', 'settings need either publishing or subscription');
  }

  private settleProducer(settings: Settings, publishing: Publishing): Settings {
    const said = publishing.topics.map(({ name }) => name);
    const permitted = this.permit((caller) => permittedOf(said, (topic) => rules.publish(caller, topic)));
    const session = this.register(settings.clientType ?? ClientType.PRODUCER, settings);
    if (session) {
      const names = permitted.map((name) => this.goodTopic(name));
      this.context.sessions.publish(session, names.filter(isKnown));
    }
    return producerSettings(settings, publishing, this.context.limits);
  }

  private async settleConsumer(settings: Settings, subscription: Subscription, bytes: number): Promise<Settings> {
    const { context } = this;
    const type = settings.clientType ?? ClientType.CLIENT_TYPE_UNSPECIFIED;
    const lite = type === ClientType.LITE_PUSH_CONSUMER || type === ClientType.LITE_SIMPLE_CONSUMER;
    const text = subscription.group?.name ?? '';
    const said = subscription.subscriptions.map(({ topic }) => topic?.name ?? '');
    const permitted = this.permit((caller) => {
      if (text !== '') rules.join(caller, text);
      return new Set(permittedOf(said, (topic) => rules.subscribe(caller, topic)));
    });
    const group = lite
      ? await liteGroup(context, groupName(text), subscription.subscriptions[0]?.topic?.name)
      : text === ''
        ? undefined
        : await this.groupOf(text);
    if (!lite && group?.lite) {
      throw new MqError(
        'ILLEGAL_CONSUMER_GROUP',
        `consumer group "${group.name}" is bound to LITE topic "${group.lite.topic}": only lite consumers may join it`,
      );
    }
    const session = this.register(isConsumer(type) ? type : ClientType.PUSH_CONSUMER, settings);
    if (group && session) context.sessions.subscribeAll(session, group.name, this.filtersOf(subscription, permitted));
    const language = languageOf(this.call);
    const merged = consumerSettings(settings, subscription, group, language, context.limits);
    this.keep(group && session && { settings, subscription, group: group.name, bytes, told: policyOf(merged) });
    return merged;
  }

  /** @throws MqError UNAUTHORIZED, now or when its user changes */
  private permit<T>(check: (caller: Caller) => T): T {
    assert(this.caller !== undefined, 'who says its settings is known');
    const permitted = check(this.caller);
    this.permitted = check;
    return permitted;
  }

  /** Waits for a name service that gives no answer: its silence is no reason to end a client's stream. */
  private async groupOf(text: string): Promise<ConsumerGroup> {
    const name = groupName(text);
    for (;;) {
      try {
        return await this.context.names.group(name, this.call.peer);
      } catch (caught) {
        if (!MqError.from(caught).retry || !this.out.open) throw caught;
      }
      await sleep(this.context.clock, askAgainMs);
    }
  }

  /** As many as there is room to remember. */
  private filtersOf({ subscriptions }: Subscription, permitted: ReadonlySet<string>): Map<string, FilterExpression> {
    const filters = new Map<string, FilterExpression>();
    let left = this.context.limits.sessionBytesMax;
    for (const { topic, expression } of subscriptions) {
      const name = permitted.has(topic?.name ?? '') ? this.goodTopic(topic?.name) : undefined;
      left -= (name?.length ?? 0) + (expression?.expression.length ?? 0);
      if (left < 0) break;
      const filter = name === undefined ? undefined : this.goodFilter(expression);
      if (name !== undefined && filter) filters.set(name, filter);
    }
    return filters;
  }

  /** Replaces what is kept, as far as there is room. */
  private keep(consumer: Kept | undefined): void {
    const { context } = this;
    context.settingsBytes -= bytesKeptFor * (this.consumer?.bytes ?? 0);
    this.consumer = undefined;
    if (!consumer || !this.out.open) return;
    if (context.settingsBytes + bytesKeptFor * consumer.bytes > context.limits.settingsBytesMax) return;
    context.settingsBytes += bytesKeptFor * consumer.bytes;
    this.consumer = consumer;
  }

  /**
   * Undefined: it is wrong, and the receive that carries it says so. Refused here, most clients end with an error that
   * names neither code nor reason, and Go waits for ever.
   */
  private goodFilter(said: WireFilter | undefined): FilterExpression | undefined {
    try {
      const filter = filterExpression(said?.type ?? 0, said?.expression ?? '');
      this.context.checkFilter(filter);
      return filter;
    } catch (caught) {
      if (MqError.from(caught).code === 'ILLEGAL_FILTER_EXPRESSION') return undefined;
      throw caught;
    }
  }

  /** Whether the topic exists is not asked here: clients name topics before they look for routes. */
  private goodTopic(name: string | undefined): string | undefined {
    const known = this.context.parts.directory.topic(name ?? '')?.name;
    if (known !== undefined) return known;
    try {
      return topicName(name);
    } catch (caught) {
      if (MqError.from(caught).code === 'ILLEGAL_TOPIC') return undefined;
      throw caught;
    }
  }

  /**
   * Undefined: this node has as many clients as it can remember, and serves this one without; or the stream ended while its
   * settings waited, and its client may have said good-bye by now.
   */
  private register(clientType: number, settings: Settings): ClientSession | undefined {
    if (!this.out.open) return undefined;
    let session: ClientSession;
    assert(this.caller !== undefined, 'who says its settings is known');
    try {
      session = openSession(this.context, this.caller, clientType);
    } catch (caught) {
      if (MqError.from(caught).code === 'TOO_MANY_REQUESTS') return undefined;
      throw caught;
    }
    session.announced = announcedBy(session.language, settings);
    this.context.sessions.label(session, settings.clientProperties);
    if (session.stream === undefined) this.context.sessions.changed();
    session.stream = this; // The newest; the older one is left open.
    session.streams.add(this);
    return session;
  }

  private answer(outcome: Outcome, settings: Settings | undefined, startMs: number): void {
    const command = settings && { $case: 'settings' as const, value: settings };
    const bytes = TelemetryCommand.encode({ status: { ...outcome }, command }).finish();
    this.write(bytes);
    this.meter.done(startMs, outcome.code, this.call);
    if (!settings || !this.out.open || languageOf(this.call) !== againLanguage) return;
    if (!this.answered) this.tellAgain(0, this.context.clock.monotonicMs());
    this.remember(bytes);
  }

  private tellAgain(turn: number, firstMs: number): void {
    const delayMs = againMs[turn];
    if (delayMs === undefined) {
      this.remember(noAnswer); // It has had all there is; nothing more is kept.
      return;
    }
    this.again = this.context.clock.after(firstMs + delayMs - this.context.clock.monotonicMs(), () => {
      if (this.answered && this.answered.length > 0) this.push(this.answered);
      this.tellAgain(turn + 1, firstMs);
    });
  }

  /** As far as there is room. */
  private remember(answer: Uint8Array | undefined): void {
    const { context } = this;
    context.settingsBytes -= this.answered?.length ?? 0;
    this.answered =
      answer && context.settingsBytes + answer.length > context.limits.settingsBytesMax ? noAnswer : answer;
    context.settingsBytes += this.answered?.length ?? 0;
  }

  private reject(caught: unknown, startMs: number): void {
    this.answer(outcomeOf(failureOf(this.context, this.meter.method, caught)), undefined, startMs);
    this.end();
  }
}

/** Those of the topics that may be used. @throws MqError UNAUTHORIZED where it is none of them */
function permittedOf(topics: readonly string[], rule: (topic: string) => void): string[] {
  let refusal: unknown;
  const permitted = topics.filter((topic) => {
    try {
      rule(topic);
      return true;
    } catch (caught) {
      refusal ??= caught;
      return false;
    }
  });
  if (refusal !== undefined && permitted.length === 0) throw MqError.from(refusal);
  return permitted;
}

const noBytes = new Uint8Array(0);
const noAnswer = new Uint8Array(0);

function isKnown(name: string | undefined): name is string {
  return name !== undefined;
}

function languageOf(call: CallContext): string {
  return call.headers.get('x-mq-language') ?? '';
}
