/** The polls of a push consumer of C++ or C#: what is done with what comes, and with what fails. */
import { randomUUID } from 'node:crypto';

import { Code, type Duration, type FilterExpression, type Message, type MessageQueue } from '@cometmq/proto';
import type { Dialect } from './dialects.js';
import { durationOf } from './messages.js';
import type { Held, Speaker } from './speaker.js';

export interface PushLoopOptions {
  readonly dialect: Dialect;
  readonly speaker: Speaker;
  readonly topic: string;
  readonly expression: FilterExpression;
  readonly fail: Readonly<Record<string, number>>;
  readonly assigned: () => Promise<MessageQueue[]>;
  /** The listener was called. */
  readonly take: (message: Message, failed: boolean) => Held;
  readonly ack: (held: Held) => Promise<void>;
  readonly change: (held: Held, ms: number) => Promise<void>;
}

const requestMs = 3_000;
const pollMs = 20_000;
const failureMs = 1_000;

export class PushLoop {
  private stopped = false;
  private readonly left: Map<string, number>;

  constructor(private readonly options: PushLoopOptions) {
    this.left = new Map(Object.entries(options.fail));
  }

  start(): void {
    void this.options.assigned().then(
      (queues) => queues.forEach((queue) => void this.poll(queue)),
      () => undefined,
    );
  }

  stop(): void {
    this.stopped = true;
  }

  private async poll(messageQueue: MessageQueue): Promise<void> {
    const { dialect, speaker, expression } = this.options;
    let attemptId: string = randomUUID();
    while (!this.stopped) {
      try {
        const { status, messages } = await speaker.wire.receive(
          {
            group: { name: speaker.group ?? '' },
            messageQueue,
            filterExpression: expression,
            batchSize: 32,
            autoRenew: true,
            attemptId,
            ...(dialect.pushInvisibleMs !== undefined && { invisibleDuration: durationOf(dialect.pushInvisibleMs) }),
            ...(dialect.pushSaysPollMs === true && { longPollingTimeout: durationOf(pollMs) }),
          },
          pollMs + requestMs,
        );
        if (status.code !== Code.OK && status.code !== Code.MESSAGE_NOT_FOUND) throw new Error(status.message);
        attemptId = randomUUID();
        await this.consume(messages);
      } catch {
        // An error keeps the attempt id, in those clients that do.
        if (dialect.keepsAttemptId !== true) attemptId = randomUUID();
        await sleep(failureMs);
      }
    }
  }

  private async consume(messages: readonly Message[]): Promise<void> {
    const settings = this.options.speaker.settings?.pubSub;
    const fifo = settings?.$case === 'subscription' && settings.value.fifo === true;
    for (const message of messages) await (fifo ? this.inOrder(message) : this.once(message));
  }

  private async once(message: Message): Promise<void> {
    const failed = this.fails(message);
    const held = this.options.take(message, failed);
    if (!failed) return this.options.ack(held);
    await this.options.change(held, this.backoffMs(message.systemProperties?.deliveryAttempt ?? 1));
  }

  /** A message of an orderly group is tried again here, and not given back. */
  private async inOrder(message: Message): Promise<void> {
    const { speaker, dialect } = this.options;
    const attemptsMax = speaker.settings?.backoffPolicy?.maxAttempts ?? 1;
    const system = message.systemProperties;
    for (let attempt = system?.deliveryAttempt ?? 1; ; attempt += 1) {
      const failed = this.fails(message);
      const held = this.options.take(message, failed);
      if (!failed) return this.options.ack(held);
      if (attempt >= attemptsMax && dialect.language === 'C#') {
        await speaker.wire.ok('forwardMessageToDeadLetterQueue', {
          group: { name: held.group },
          topic: { name: held.topic },
          receiptHandle: held.handle,
          messageId: system?.messageId ?? '',
          deliveryAttempt: attempt,
          maxDeliveryAttempts: attemptsMax,
        });
        return;
      }
      await sleep(dialect.language === 'C#' ? this.backoffMs(attempt) : failureMs);
    }
  }

  private fails(message: Message): boolean {
    const body = Buffer.from(message.body).toString();
    const times = this.left.get(body) ?? 0;
    this.left.set(body, times - 1);
    return times > 0;
  }

  private backoffMs(attempt: number): number {
    const strategy = this.options.speaker.settings?.backoffPolicy?.strategy;
    if (strategy === undefined) throw new Error('settings without a back-off');
    if (strategy.$case === 'exponentialBackoff') {
      const { initial, max, multiplier } = strategy.value;
      return Math.min(msOf(initial) * multiplier ** (attempt - 1), msOf(max));
    }
    const { next } = strategy.value;
    const index = attempt + (this.options.dialect.backoffOneLater === true ? 1 : 0);
    return msOf(next[Math.min(index, next.length) - 1]);
  }
}

const msOf = (duration: Duration | undefined): number =>
  duration === undefined ? 0 : duration.seconds * 1000 + duration.nanos / 1e6;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());
