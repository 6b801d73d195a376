/**
 * Telemetry: settings from the client, settings and commands from the server, for as long as the client lives.
 *
 * Each settings command is answered by one command with both status and settings. A rejection is a command with only
 * the status, then the end of the stream: Node.js fails its start on nothing else. The session outlives the stream.
 * Commands that the server doesn't know are skipped.
 */
import type { ConsumerGroup, FilterExpression } from '@cometmq/model';
import { groupName, topicName } from '@cometmq/model';
import { ClientType, type Publishing, type Settings, type Subscription, TelemetryCommand } from '@cometmq/proto';
import type { BidiHandler, CallContext, MessageSink } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type FrontDoor, RpcMeter, clientIdOf } from '../front-door.js';
import type { CommandStream } from '../sessions.js';
import { type Outcome, ok, outcomeOf } from '../status.js';
import { decode, failureOf } from './cold-call.js';
import { commandAnswer } from './command-words.js';
import { isConsumer, openSession } from './heartbeat.js';
import { filterExpression } from './receive-request.js';
import { liteGroup } from './lite-group.js';
import { consumerSettings, producerSettings } from './settings.js';

export function telemetry(door: FrontDoor): BidiHandler {
  const meter = new RpcMeter('Telemetry', door);
  return (call, input, out) => {
    const stream = new TelemetryStream(door, meter, call, out);
    input.onMessage((bytes) => stream.take(bytes));
    input.onEnd(() => stream.end());
    call.onCancel(() => stream.closed());
    door.streams.add(stream);
  };
}

/** Settings that wait for a group to be made; more than this and the client is read no faster than it is answered. */
const waitingMax = 16;

/** What a group's settings make of a client's, to see whether they have changed. */
function policyOf({ backoffPolicy, pubSub }: Settings): string {
  return JSON.stringify([backoffPolicy, pubSub?.$case === 'subscription' && pubSub.value.fifo]);
}

class TelemetryStream implements CommandStream {
  private clientId: string | undefined;
  /** Commands are answered in their order, also when one has to wait for the name service. */
  private answers: Promise<void> = Promise.resolve();
  private waiting = 0;
  /** What a consumer said last, and what it was answered: told again when its group changes. */
  private consumer:
    | { readonly settings: Settings; readonly subscription: Subscription; readonly group: string; told: string }
    | undefined;

  constructor(
    private readonly door: FrontDoor,
    private readonly meter: RpcMeter,
    private readonly call: CallContext,
    private readonly out: MessageSink,
  ) {}

  take(bytes: Uint8Array): void {
    const startMs = this.door.clock.monotonicMs();
    if (this.waiting >= waitingMax) {
      this.reject(new MqError('TOO_MANY_REQUESTS', 'too many settings at once on one stream'), startMs);
      return;
    }
    let said: TelemetryCommand;
    try {
      this.clientId = clientIdOf(this.call);
      this.door.sessions.touch(this.clientId, startMs);
      said = decode(this.door, TelemetryCommand, bytes, this.door.limits.listFieldsMax);
    } catch (caught) {
      this.reject(caught, startMs);
      return;
    }
    if (said.command?.$case !== 'settings') {
      const answer = commandAnswer(said);
      if (answer) this.door.commands.answered(answer);
      return;
    }
    const settings = said.command.value;
    this.waiting += 1;
    this.answers = this.answers
      .then(() => this.settle(settings))
      .then(
        (merged) => this.answer(ok, merged, startMs),
        (caught: unknown) => this.reject(caught, startMs),
      )
      .finally(() => (this.waiting -= 1));
  }

  push(command: Uint8Array): void {
    this.out.write(command);
  }

  groupChanged(group: ConsumerGroup): void {
    const { consumer, door } = this;
    if (consumer?.group !== group.name || !this.out.open) return;
    const session = door.sessions.get(this.clientId ?? '');
    // C++ joins each list of delays to the one before.
    if (session?.stream !== this || session.language === 'CPP') return;
    const merged = consumerSettings(consumer.settings, consumer.subscription, group, session.language, door.limits);
    const told = policyOf(merged);
    if (told === consumer.told) return;
    consumer.told = told;
    this.out.write(
      TelemetryCommand.encode({ status: { ...ok }, command: { $case: 'settings', value: merged } }).finish(),
    );
  }

  end(): void {
    this.closed();
    this.out.end();
  }

  closed(): void {
    this.door.streams.delete(this);
    const session = this.clientId === undefined ? undefined : this.door.sessions.get(this.clientId);
    if (session?.stream !== this) return;
    session.stream = undefined;
    this.door.sessions.changed();
  }

  /** Registers the client and completes its settings. */
  private async settle(settings: Settings): Promise<Settings> {
    if (settings.pubSub?.$case === 'publishing') return this.settleProducer(settings, settings.pubSub.value);
    if (settings.pubSub?.$case === 'subscription') return this.settleConsumer(settings, settings.pubSub.value);
    throw new MqError('BAD_REQUEST', 'settings need either publishing or subscription');
  }

  private settleProducer(settings: Settings, publishing: Publishing): Settings {
    const topics = publishing.topics.map(({ name }) => this.checkTopic(name));
    const session = this.register(settings.clientType ?? ClientType.PRODUCER, settings);
    if (topics.join() !== session.publishes.join()) this.door.sessions.changed();
    session.publishes = topics;
    return producerSettings(settings, publishing, this.door.limits);
  }

  private async settleConsumer(settings: Settings, subscription: Subscription): Promise<Settings> {
    const { door } = this;
    const type = settings.clientType ?? ClientType.CLIENT_TYPE_UNSPECIFIED;
    const lite = type === ClientType.LITE_PUSH_CONSUMER || type === ClientType.LITE_SIMPLE_CONSUMER;
    const filters = new Map<string, FilterExpression>();
    for (const { topic, expression } of subscription.subscriptions) {
      const name = this.checkTopic(topic?.name);
      const filter = this.goodFilter(expression?.type ?? 0, expression?.expression ?? '');
      if (filter) filters.set(name, filter);
    }
    const text = subscription.group?.name ?? '';
    const group = lite
      ? await liteGroup(door, groupName(text), subscription.subscriptions[0]?.topic?.name)
      : text === ''
        ? undefined
        : await door.names.group(groupName(text));
    if (!lite && group?.lite) {
      throw new MqError(
        'ILLEGAL_CONSUMER_GROUP',
        `consumer group "${group.name}" is bound to LITE topic "${group.lite.topic}": only lite consumers may join it`,
      );
    }
    const session = this.register(isConsumer(type) ? type : ClientType.PUSH_CONSUMER, settings);
    if (group) door.sessions.subscribeAll(session, group.name, filters);
    const merged = consumerSettings(settings, subscription, group, session.language, door.limits);
    this.consumer = group && { settings, subscription, group: group.name, told: policyOf(merged) };
    return merged;
  }

  /**
   * Undefined: it is wrong, and the receive that carries it says so. Refused here, most clients end with an error that
   * names neither code nor reason, and Go waits for ever.
   */
  private goodFilter(type: number, expression: string): FilterExpression | undefined {
    try {
      const filter = filterExpression(type, expression);
      this.door.checkFilter(filter);
      return filter;
    } catch (caught) {
      if (MqError.from(caught).code === 'ILLEGAL_FILTER_EXPRESSION') return undefined;
      throw caught;
    }
  }

  /** Whether the topic exists is not asked here: clients name topics before they look for routes. */
  private checkTopic(name: string | undefined): string {
    return this.door.parts.directory.topic(name ?? '')?.name ?? topicName(name);
  }

  private register(clientType: number, settings: Settings): ReturnType<typeof openSession> {
    const session = openSession(this.door, { clientId: this.clientId ?? '', call: this.call }, clientType);
    session.properties = settings.clientProperties;
    if (this.out.open) {
      if (session.stream === undefined) this.door.sessions.changed();
      session.stream = this; // The newest; the older one is left open.
    }
    return session;
  }

  private answer(outcome: Outcome, settings: Settings | undefined, startMs: number): void {
    const command = settings && { $case: 'settings' as const, value: settings };
    this.out.write(TelemetryCommand.encode({ status: { ...outcome }, command }).finish());
    this.meter.done(startMs, outcome.code);
  }

  private reject(caught: unknown, startMs: number): void {
    this.answer(outcomeOf(failureOf(this.door, this.meter.method, caught)), undefined, startMs);
    this.end();
  }
}
