import { Directory, localAddress, type Delivered, type Done, type Peers } from '@cometmq/client';
import type { ReceiveCall, SendResult } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import {
  encodeEnvelope,
  everything,
  hashBytes,
  KiB,
  queueId,
  type ConsumerGroup,
  type EnvelopeDraft,
  type Receipt,
  type RecordKind,
  type Topic,
} from '@cometmq/model';
import { MqError, type Clock, type Prng } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import type { StoreLimits } from '@cometmq/store';
import { MemoryDisk } from '@cometmq/store/testing';
import { silentLogger, type Logger } from '@cometmq/telemetry';

import { BrokerService } from './broker-service.js';
import { FakeSetRegistry } from './fake-set-registry.js';
import type { MessageTracing } from './message-tracing.js';
import { memoryCheckpoints } from './testing.js';

/** What is kept ahead and in reserve is copied by every crash of a disk in memory. */
const smallStore: Partial<StoreLimits> = {
  aheadBytes: 128 * KiB,
  reserveBytes: 64 * KiB,
  compactionReserveBytes: 64 * KiB,
};

/** One broker on a memory disk, with time in our hands. */
export class BrokerWorld {
  readonly clock = new ManualClock();
  readonly nameService = new FakeNameService({ queues: 1, wallMs: 0 });
  readonly registry = new FakeSetRegistry(this.clock, this.nameService);
  disk = new MemoryDisk();
  /** What was logged, from warnings on. */
  readonly said: { readonly facts: object; readonly said: string }[] = [];
  /** Undefined: on the disk. */
  checkpoints: ReturnType<typeof memoryCheckpoints> | undefined = memoryCheckpoints();
  /** Told when the broker can't go on. */
  onFatal: (error: MqError) => void = (error) => {
    throw error;
  };
  /** What a test breaks in a broker that was just built. */
  onBuilt: ((broker: BrokerService) => void) | undefined;
  /** Of the store that is built next. */
  storeLimits = smallStore;
  private life = { isOver: false };
  /** Of the broker that is built next. */
  tracing: MessageTracing | undefined;
  /** Told to bring its metadata, should it be lost. */
  adopts = false;
  /** The way to other brokers; undefined: there is none. */
  peers: Peers | undefined;
  forgets = false;
  directory = new Directory(this.nameService, this.clock);
  broker = this.build();
  topic!: Topic;
  group!: ConsumerGroup;

  async start(attemptsMax = 17): Promise<this> {
    await this.directory.start();
    await this.broker.start();
    this.topic = await this.nameService.createTopic({ name: 'orders' });
    this.group = await this.nameService.createGroup({ name: 'readers', attemptsMax });
    return this;
  }

  async restart(): Promise<void> {
    await this.broker.stop();
    this.broker = this.build();
    await this.broker.start();
  }

  /** All that is known next is read from the log. */
  async restartWithoutCheckpoint(): Promise<void> {
    await this.broker.stop();
    this.checkpoints = memoryCheckpoints();
    this.broker = this.build();
    await this.broker.start();
  }

  /** The process is gone, and the power too if chance is given: what was not synced may be lost then. */
  async crash(chance?: Prng): Promise<void> {
    this.disk = chance ? this.disk.crash(chance) : this.disk.kill();
    this.life.isOver = true;
    this.broker = this.build();
    await this.broker.start();
  }

  /** The log refuses the next record of this kind, as it does when it is behind. */
  refuseNext(kind: RecordKind): void {
    const { store } = this.broker;
    const append = store.append.bind(store);
    store.append = (...record) => {
      if (record[0] !== kind) return append(...record);
      store.append = append;
      throw new MqError('TOO_MANY_REQUESTS', 'the log is behind');
    };
  }

  private get log(): Logger {
    const note = (facts: object, said: string): void => void this.said.push({ facts, said });
    return { ...silentLogger, warn: note, error: note };
  }

  private build(): BrokerService {
    const life = (this.life = { isOver: false });
    const { clock } = this;
    const mortal: Clock = {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, act) => clock.after(delayMs, () => (life.isOver ? undefined : act())),
      soon: (act) => clock.soon(act),
    };
    const built: BrokerService = new BrokerService({
      brokerName: 'broker-0',
      disk: this.disk,
      folder: 'data',
      nameService: this.nameService,
      registry: this.registry,
      directory: this.directory,
      clock: mortal,
      log: this.log,
      segmentBytes: 4 * 1024 * 1024,
      recordBytesMax: 1024 * 1024,
      diskFreeBytesMin: 0,
      pendingBytesMax: 0,
      diskQueueBytesMax: 4 * 1024 * 1024,
      liteTopicsMax: 100,
      liteSubscriptionsMax: 100,
      retentionMs: 72 * 3_600_000,
      pollsMax: 100,
      leaseMs: 3000,
      address: () => localAddress,
      peers: this.peers,
      onFatal: (error) => {
        if (built === this.broker) this.onFatal(error); // Those that crashed go on in vain.
      },
      ...(this.checkpoints && { checkpoints: this.checkpoints }),
      adoptMetadata: this.adopts,
      forgetMembers: this.forgets,
      storeLimits: this.storeLimits,
      tracing: this.tracing,
    });
    this.onBuilt?.(built);
    return built;
  }

  send(id: string, tag = '', topic = this.topic): Promise<number> {
    return this.sendAs(id, { tag: Buffer.from(tag) }, topic);
  }

  /** A message of any kind. Answers its offset. */
  async sendAs(...[id, draft, topic, queue, message]: Parameters<BrokerWorld['sendAny']>): Promise<number> {
    return (await this.sendAny(id, draft, topic, queue, message)).offset;
  }

  /** A message of any kind. Answers where it is. */
  sendAny(
    id: string,
    draft: Partial<EnvelopeDraft>,
    topic = this.topic,
    queue = 0,
    message: Uint8Array = Buffer.from(`body of ${id}`),
    deadlineMs?: number,
  ): Promise<SendResult> {
    const whole: EnvelopeDraft = {
      type: topic.type,
      tag: Buffer.alloc(0),
      id: Buffer.from(id),
      group: Buffer.alloc(0),
      keys: [],
      ...draft,
    };
    return settle<SendResult>((done) =>
      this.broker.send(
        {
          topicId: topic.id,
          queueId: queueId(queue),
          layout: topic.layout,
          deadlineMs,
          tagHash: hashBytes(whole.tag),
          groupHash: hashBytes(whole.group),
          envelope: encodeEnvelope(whole),
          message: [message],
        },
        done,
      ),
    );
  }

  poll(given: Partial<ReceiveCall> = {}): Promise<readonly Delivered[]> {
    return settle<{ messages: readonly Delivered[] }>((done) => this.pollWith(given, done)).then(
      ({ messages }) => messages,
    );
  }

  pollWith(given: Partial<ReceiveCall>, done: Done<{ messages: readonly Delivered[] }>): () => void {
    return this.broker.receive(
      {
        groupId: this.group.id,
        topicId: this.topic.id,
        queueId: -1,
        messagesMax: 32,
        bytesMax: 1 << 20,
        filter: everything,
        invisibleMs: 10_000,
        autoRenew: false,
        clientId: 'c1',
        waitMs: 0,
        attemptId: undefined,
        ...given,
      },
      done,
    );
  }

  ack(receipt: Receipt): Promise<void> {
    return settle((done) => this.broker.ack({ receipt }, done));
  }
}

export function settle<T>(call: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result as T)));
  });
}

/** The ids of messages that `send` sent. */
export const ids = (messages: readonly Delivered[]): string[] =>
  messages.map(({ payload }) => Buffer.from(payload).toString().split('body of ')[1] ?? '?');
