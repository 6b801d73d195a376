/** What a check on the wire is given, and short words for what it does most. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import {
  ClientType,
  Code,
  FilterType,
  MessageType,
  type Message,
  type MessageQueue,
  type SendResultEntry,
} from '@cometmq/proto';
import { until } from '../../../support/until.js';
import type { Admin, GroupDraft, TopicType } from '../admin.js';
import type { Target } from '../process-driver.js';
import { durationOf, newMessageId, timestampOf } from './messages.js';
import { Wire, type Asked, type Headers, type Loose, type Received, type Telemetry } from './wire.js';

export interface WireCheck {
  readonly title: string;
  /** It asks what only several proxies can answer. */
  readonly needsOther?: true;
  /** In the short cut too: it takes no more than a few seconds. */
  readonly core?: true;
  check(talk: Talk): Promise<void>;
}

export const topicOf = (name: string): { name: string } => ({ name });
const everything = { type: FilterType.TAG, expression: '*' };

export class Talk {
  private readonly open: Wire[] = [];

  constructor(
    readonly target: Target,
    /** Another node of the same cluster; the same one where there is none. */
    readonly other: Target,
    readonly admin: Admin,
    private readonly mark: string,
  ) {}

  named(name: string): string {
    return `${this.mark}-${name}`;
  }

  async topic(type: TopicType = 'normal', name = 'topic'): Promise<string> {
    await this.admin.createTopic({ name: this.named(name), type });
    return this.named(name);
  }

  async group(draft: Omit<GroupDraft, 'name'> = {}, name = 'group'): Promise<string> {
    await this.admin.createGroup({ name: this.named(name), ...draft });
    return this.named(name);
  }

  /** A client with an id of its own and the headers that most send. */
  wire(target = this.target, headers: Headers = {}): Wire {
    const clientId = randomUUID();
    const usual = { 'x-mq-client-id': clientId, 'x-mq-language': 'GO', 'x-mq-client-version': '5.1.4' };
    return this.bareWire(target, { ...usual, ...headers });
  }

  /** With no headers but these. */
  bareWire(target: Target, headers: Headers): Wire {
    const wire = new Wire(target, () => headers);
    this.open.push(wire);
    return wire;
  }

  close(): void {
    for (const wire of this.open) wire.close();
  }
}

export function message(
  topic: string,
  body: string | Uint8Array,
  more: Loose<Message['systemProperties']> = {},
): Loose<Message> {
  return {
    topic: topicOf(topic),
    body: typeof body === 'string' ? Buffer.from(body) : body,
    systemProperties: {
      messageId: newMessageId(),
      messageType: MessageType.NORMAL,
      bodyEncoding: 1,
      bornTimestamp: timestampOf(Date.now()),
      bornHost: 'wire',
      ...more,
    },
  };
}

/** Sends each by a request of its own; all must be taken. */
export async function send(wire: Wire, messages: readonly Loose<Message>[]): Promise<SendResultEntry[]> {
  const entries: SendResultEntry[] = [];
  for (const one of messages) {
    const answer = await wire.ok('sendMessage', { messages: [one] });
    assert.equal(answer.entries.length, 1);
    entries.push(...answer.entries);
  }
  return entries;
}

export async function queuesOf(wire: Wire, topic: string): Promise<MessageQueue[]> {
  return (await wire.ok('queryRoute', { topic: topicOf(topic) })).messageQueues;
}

/** One poll of a queue of the topic, by default as a simple consumer. */
export async function poll(
  wire: Wire,
  group: string,
  topic: string,
  more: Asked<'receiveMessage'> = {},
  timeoutMs = 5_000,
): Promise<Received> {
  const [queue] = await queuesOf(wire, topic);
  return wire.receive(
    {
      group: topicOf(group),
      messageQueue: queue,
      filterExpression: everything,
      batchSize: 32,
      invisibleDuration: durationOf(30_000),
      longPollingTimeout: durationOf(2_000),
      ...more,
    },
    timeoutMs,
  );
}

/** Polls until so many have come. */
export async function take(
  wire: Wire,
  group: string,
  topic: string,
  count: number,
  more: Asked<'receiveMessage'> = {},
): Promise<Message[]> {
  const found: Message[] = [];
  await until(
    () => `${count} messages, ${found.length} came`,
    async () => {
      found.push(...(await poll(wire, group, topic, more)).messages);
      return found.length >= count;
    },
    60_000,
  );
  return found;
}

export const handleOf = ({ systemProperties }: Message): string => systemProperties?.receiptHandle ?? '';
export const idOf = ({ systemProperties }: Message): string => systemProperties?.messageId ?? '';
export const attemptOf = ({ systemProperties }: Message): number => systemProperties?.deliveryAttempt ?? 0;
export const textOf = ({ body }: Message): string => Buffer.from(body).toString();

/** The code for one handle. */
export async function ack(wire: Wire, group: string, topic: string, handle: string, messageId = 'x'): Promise<number> {
  const entries = [{ messageId, receiptHandle: handle }];
  const answer = await wire.unary('ackMessage', { group: topicOf(group), topic: topicOf(topic), entries });
  assert.equal(answer.entries.length, 1, 'as many entries as were asked');
  return answer.entries[0]?.status?.code ?? 0;
}

export async function change(
  wire: Wire,
  group: string,
  topic: string,
  held: Message,
  ms: number,
): Promise<{ code: number; handle: string }> {
  const answer = await wire.unary('changeInvisibleDuration', {
    group: topicOf(group),
    topic: topicOf(topic),
    receiptHandle: handleOf(held),
    messageId: idOf(held),
    invisibleDuration: durationOf(ms),
  });
  return { code: answer.status?.code ?? 0, handle: answer.receiptHandle };
}

/** Opens the stream, says the settings, and gives what came back first. */
export async function settle(
  wire: Wire,
  settings: SettingsSaid,
  timeout?: string,
): Promise<{ telemetry: Telemetry; first: Telemetry['commands'][number] }> {
  const telemetry = wire.telemetry(timeout);
  telemetry.write(settingsCommand(settings));
  const first = await until('an answer to the settings', () => telemetry.commands[0], 10_000);
  return { telemetry, first };
}

export interface SettingsSaid {
  readonly type: ClientType;
  readonly topics?: readonly string[];
  readonly group?: string;
  readonly filter?: { readonly type: FilterType; readonly expression: string };
}

export function settingsCommand({
  type,
  topics = [],
  group = '',
  filter = everything,
}: SettingsSaid): Parameters<Telemetry['write']>[0] {
  const value =
    type === ClientType.PRODUCER
      ? { $case: 'publishing' as const, value: { topics: topics.map(topicOf) } }
      : {
          $case: 'subscription' as const,
          value: {
            group: topicOf(group),
            subscriptions: topics.map((topic) => ({ topic: topicOf(topic), expression: filter })),
          },
        };
  return {
    command: { $case: 'settings', value: { clientType: type, requestTimeout: durationOf(3_000), pubSub: value } },
  };
}

export function is(code: number | undefined, wanted: keyof typeof Code): void {
  const names = new Map(Object.entries(Code).map(([name, number]) => [number as number, name]));
  assert.equal(names.get(code ?? 0) ?? code, wanted);
}
