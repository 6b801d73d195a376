import { BrokerService } from '@cometmq/broker';
import { Directory, localAddress, type Delivered, type Done } from '@cometmq/client';
import { EmbeddedStore, NodeFiles } from '@cometmq/metadata';
import {
  encodeEnvelope,
  everything,
  hashBytes,
  KiB,
  MessageType,
  queueId,
  type ConsumerGroup,
  type QueueId,
  type QueueOffset,
  type Receipt,
  type Topic,
} from '@cometmq/model';
import { NamesrvService } from '@cometmq/namesrv';
import { systemClock as clock, type MqError, type Component } from '@cometmq/shared';
import { FileDisk, FolderLock, type StoreLimits } from '@cometmq/store';
import { silentLogger } from '@cometmq/telemetry';

/** So small that a few hundred messages go through everything: segments, their sealing, compaction, checkpoints. */
const limits: Partial<StoreLimits> = {
  tailCacheBytes: 64 * KiB,
  aheadBytes: 32 * KiB,
  reserveBytes: 8 * KiB,
  compactionReserveBytes: 8 * KiB,
  checkpointBytes: 48 * KiB,
  checkpointMs: 200,
};

/** Metadata and a broker on a real folder, as standalone composes them, with nothing in front. */
export class Subject {
  readonly broker: BrokerService;
  readonly nameService: NamesrvService;
  readonly directory: Directory;
  /** Why it gave up. */
  failure: MqError | undefined;
  private readonly parts: readonly Component[];
  private readonly started: Component[] = [];

  constructor(folder: string) {
    const disk = new FileDisk(folder);
    const store = new EmbeddedStore(new NodeFiles(`${folder}/metadata`), clock, { journalBytesMin: 2 * KiB });
    this.nameService = new NamesrvService({ store, clock, autoCreateTopics: false, autoCreateGroups: false });
    this.directory = new Directory(this.nameService, clock);
    this.broker = new BrokerService({
      brokerName: 'broker-0',
      disk,
      folder: 'broker',
      nameService: this.nameService,
      registry: this.nameService.sets,
      directory: this.directory,
      clock,
      log: silentLogger,
      segmentBytes: 64 * KiB,
      recordBytesMax: 16 * KiB,
      diskFreeBytesMin: 0,
      pendingBytesMax: 0,
      liteTopicsMax: 100,
      liteSubscriptionsMax: 100,
      retentionMs: 3_600_000,
      pollsMax: 100,
      leaseMs: 3_000,
      address: () => localAddress,
      storeLimits: limits,
      onFatal: (error) => (this.failure = error),
    });
    this.parts = [new FolderLock(disk, 'metadata'), store, this.nameService, this.directory, this.broker];
  }

  async start(): Promise<this> {
    for (const part of this.parts) {
      this.started.push(part);
      await part.start();
    }
    return this;
  }

  async stop(): Promise<void> {
    for (const part of this.started.splice(0).reverse()) await part.stop();
  }

  send(topic: Topic, queue: number, id: string, body: Uint8Array): Promise<unknown> {
    const type = MessageType.normal;
    const none = Buffer.alloc(0);
    const envelope = encodeEnvelope({ type, tag: none, id: Buffer.from(id), group: none, keys: [] });
    return answer((done) =>
      this.broker.send(
        {
          topicId: topic.id,
          queueId: queueId(queue),
          layout: topic.layout,
          deadlineMs: undefined,
          tagHash: hashBytes(none),
          groupHash: hashBytes(none),
          envelope,
          message: [Buffer.from(`${id};`), body],
        },
        done,
      ),
    );
  }

  async poll(topic: Topic, group: ConsumerGroup, messagesMax: number, invisibleMs: number): Promise<Polled[]> {
    const { messages } = await answer<{ messages: readonly Delivered[] }>((done) =>
      this.broker.receive(
        {
          groupId: group.id,
          topicId: topic.id,
          queueId: -1,
          messagesMax,
          bytesMax: 1 << 20,
          filter: everything,
          invisibleMs,
          autoRenew: false,
          clientId: 'c1',
          waitMs: 0,
          attemptId: undefined,
        },
        done,
      ),
    );
    return messages.map(({ payload, receipt }) => ({ id: idOf(payload), receipt }));
  }

  ack(receipt: Receipt): Promise<unknown> {
    return answer((done) => this.broker.ack({ receipt }, done));
  }

  /** The ids of all messages that a topic holds, read one by one. */
  async idsOf(topic: Topic): Promise<string[]> {
    const { store } = this.broker;
    const found: string[] = [];
    for (let queue = 0; queue < topic.writeQueues; queue += 1) {
      for (let from = store.bounds(topic.id, queue as QueueId).first; ;) {
        const entries = await store.scan(topic.id, queue as QueueId, from, 64);
        if (entries.count === 0) break;
        for (let i = 0; i < entries.count; i += 1) {
          const message = await store.read(entries.position(i), entries.size(i));
          found.push(idOf(message.payload));
        }
        from = entries.end satisfies QueueOffset;
      }
    }
    return found;
  }
}

export interface Polled {
  readonly id: string;
  readonly receipt: Receipt;
}

function idOf(payload: Uint8Array): string {
  return /#[a-z]+-\d+(?=;)/.exec(Buffer.from(payload).toString('latin1'))?.[0] ?? 'a message without an id';
}

function answer<T>(call: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result as T)));
  });
}
