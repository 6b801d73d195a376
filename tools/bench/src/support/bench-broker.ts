/** A broker in this process, on a real disk, spoken to without a network: what is measured is the broker alone. */
import { BrokerService, type BrokerOptions } from '@cometmq/broker';
import { LoneSetRegistry } from '@cometmq/broker/testing';
import { Directory, type ReceiveResult, type SendResult } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { encodeEnvelope, everything, type MessageType, queueId, type ConsumerGroup, type Topic } from '@cometmq/model';
import { systemClock as clock } from '@cometmq/shared';
import { FileDisk } from '@cometmq/store';
import { silentLogger } from '@cometmq/telemetry';

const none = Buffer.alloc(0);

export interface SendDraft {
  readonly type: MessageType;
  readonly dueMs?: number;
}

export class BenchBroker {
  private constructor(
    readonly broker: BrokerService,
    readonly topic: Topic,
    readonly group: ConsumerGroup,
    private readonly directory: Directory,
    private readonly keepAlive: NodeJS.Timeout,
    /** How long the broker took to start. */
    readonly startMs: number,
  ) {}

  static async open(folder: string, type: MessageType): Promise<BenchBroker> {
    const nameService = new FakeNameService({ queues: 1, wallMs: 0 });
    const topic = await nameService.createTopic({ name: 'bench', type, writeQueues: queues, readQueues: queues });
    const group = await nameService.createGroup({ name: 'bench' });
    const directory = new Directory(nameService, clock);
    const options: BrokerOptions = {
      brokerName: 'broker-0',
      disk: new FileDisk(folder),
      folder: 'broker',
      nameService,
      registry: new LoneSetRegistry(),
      directory,
      clock,
      log: silentLogger,
      segmentBytes: 256 * 1024 ** 2,
      recordBytesMax: 8 * 1024 ** 2,
      diskFreeBytesMin: 0,
      pendingBytesMax: 0,
      retentionMs: 72 * 3_600_000,
      pollsMax: 1_000,
      liteTopicsMax: 1_000,
      liteSubscriptionsMax: 1_000,
      leaseMs: 3_000,
      address: () => '',
      onFatal: (error) => {
        throw error;
      },
    };
    const broker = new BrokerService(options);
    const keepAlive = setInterval(() => undefined, 1_000);
    await directory.start();
    const begunMs = clock.monotonicMs();
    await broker.start();
    return new BenchBroker(broker, topic, group, directory, keepAlive, clock.monotonicMs() - begunMs);
  }

  /** Sends `count` messages with so many under way; `each` hears what became of them. */
  sendAll(
    count: number,
    inFlight: number,
    bodyBytes: number,
    draft: (index: number) => SendDraft,
    each: (result: SendResult, index: number) => void = () => undefined,
  ): Promise<void> {
    const body = [Buffer.alloc(bodyBytes, 2)];
    let sent = 0;
    let done = 0;
    return new Promise((resolve, reject) => {
      const next = (): void => {
        const index = sent;
        sent += 1;
        this.sendOne(draft(index), body, index, (error, result) => {
          if (error || !result) {
            reject(error ?? new Error('no answer'));
            return;
          }
          each(result, index);
          done += 1;
          if (sent < count) next();
          else if (done === count) resolve();
        });
      };
      for (let i = Math.min(inFlight, count); i > 0; i -= 1) next();
    });
  }

  sendOne(
    draft: SendDraft,
    message: readonly Uint8Array[],
    index: number,
    done: Parameters<BrokerService['send']>[1],
  ): void {
    const { topic } = this;
    const id = Buffer.from(String(index).padStart(34, '0'));
    this.broker.send(
      {
        topicId: topic.id,
        queueId: queueId(index % queues),
        layout: topic.layout,
        deadlineMs: undefined,
        tagHash: 0,
        groupHash: 0,
        envelope: encodeEnvelope({ ...draft, tag: none, id, group: none, keys: [] }),
        message,
      },
      done,
    );
  }

  /** One poll; what it is given is left in flight. */
  receive(
    clientId: string,
    messagesMax: number,
    invisibleMs: number,
    waitMs: number,
  ): Promise<ReceiveResult['messages']> {
    const call = {
      ...{ groupId: this.group.id, topicId: this.topic.id, queueId: -1, messagesMax, bytesMax: 16 * 1024 ** 2 },
      ...{ filter: everything, invisibleMs, autoRenew: false, clientId, waitMs, attemptId: undefined },
    };
    return new Promise((resolve, reject) => {
      this.broker.receive(call, (error, result) => (error ? reject(error) : resolve(result?.messages ?? [])));
    });
  }

  /** Reads and acknowledges until `stop` says so; `each` sees every message's payload as it comes. */
  consume(polls: number, each: (payload: Uint8Array) => void, stop: () => boolean): void {
    const { broker, topic, group } = this;
    const poll = (clientId: string): void => {
      if (stop()) return;
      broker.receive(
        {
          groupId: group.id,
          topicId: topic.id,
          queueId: -1,
          messagesMax: 32,
          bytesMax: 16 * 1024 ** 2,
          filter: everything,
          invisibleMs: 60_000,
          autoRenew: false,
          clientId,
          waitMs: 2_000,
          attemptId: undefined,
        },
        (error, result) => {
          if (error) throw error;
          for (const { payload, receipt } of result?.messages ?? []) {
            each(payload);
            broker.ack({ receipt }, () => undefined);
          }
          setImmediate(poll, clientId);
        },
      );
    };
    for (let i = 0; i < polls; i += 1) poll(`client-${i}`);
  }

  async close(): Promise<void> {
    await this.broker.stop();
    await this.directory.stop();
    clearInterval(this.keepAlive);
  }
}

const queues = 8;

export function rssMiB(): number {
  return process.memoryUsage().rss / 1024 ** 2;
}
