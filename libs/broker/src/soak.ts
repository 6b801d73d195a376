import { type Delivered, type ReceiveCall } from '@cometmq/client';
import {
  deadLetterTopic,
  Envelope,
  KiB,
  MessageType,
  type ConsumerGroup,
  type PendingPlace,
  type QueueId,
  type QueueOffset,
  type Topic,
} from '@cometmq/model';
import type { Prng } from '@cometmq/shared';

import { BrokerWorld, settle } from './broker-world.js';
import { SoakLedger } from './soak-ledger.js';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
export const day = 24 * hour;

/** How long a topic's messages are kept. Other than the last: by the broker's default, three days. */
const kept = { brief: hour, orders: 12 * hour, later: day, deals: 6 * hour, steps: 2 * day };
/** So often that nothing expires in between that nobody could have been given. */
const auditEveryMs = 40 * minute;
const attemptsMax = 3;
const invisibleMs = 30 * second;

interface Subscription {
  readonly group: ConsumerGroup;
  readonly topic: Topic;
}

/** A broker under mixed load while days pass, and a ledger of all that was promised. Everything by one seed. */
export class Soak extends BrokerWorld {
  readonly ledger = new SoakLedger();
  readonly did = { crashes: 0, restarts: 0, sent: 0, polls: 0, audits: 0, compacted: 0 };
  private readonly topics: Topic[] = [];
  private readonly subscriptions: Subscription[] = [];
  private readonly halves: { readonly id: string; readonly place: PendingPlace }[] = [];
  private readonly waiting: { readonly id: string; readonly place: PendingPlace }[] = [];
  /** What an older life still answers is nobody's any more. */
  private lives = 0;
  private nextAuditMs = 0;
  private ids = 0;

  constructor(private readonly chance: Prng) {
    super();
    this.checkpoints = undefined; // On the disk that crashes.
    this.storeLimits = {
      ...this.storeLimits,
      segmentBytes: 32 * KiB,
      recordBytesMax: 8 * KiB,
      tailCacheBytes: 32 * KiB,
      aheadBytes: 8 * KiB,
      reserveBytes: 4 * KiB,
      compactionReserveBytes: 4 * KiB,
      indexCacheBytes: 256 * KiB,
      pendingWindowBytes: 4 * KiB,
      checkpointMs: 5 * minute,
    };
  }

  override async start(): Promise<this> {
    await super.start();
    await this.restart();
    await this.nameService.deleteTopic(this.topic.name); // In its place comes one with more queues.
    const add = async (name: keyof typeof kept, queues: number, type: MessageType): Promise<Topic> => {
      const counts = { readQueues: queues, writeQueues: queues };
      const topic = await this.nameService.createTopic({ name, type, retentionMs: kept[name], ...counts });
      this.topics.push(topic);
      this.ledger.watch(topic, kept[name]);
      return topic;
    };
    const orders = await add('orders', 4, MessageType.normal);
    const brief = await add('brief', 3, MessageType.normal);
    const later = await add('later', 2, MessageType.delay);
    const deals = await add('deals', 1, MessageType.transaction);
    const steps = await add('steps', 2, MessageType.fifo);
    const readers = await this.nameService.createGroup({ name: 'payers', attemptsMax });
    const others = await this.nameService.createGroup({ name: 'others', attemptsMax });
    const lanes = await this.nameService.createGroup({
      name: 'lanes',
      fifo: true,
      attemptsMax,
      retryPolicy: { kind: 'customized', nextMs: [second, 5 * second] },
    });
    for (const topic of [orders, later, deals]) this.subscriptions.push({ group: readers, topic });
    for (const topic of [orders, brief]) this.subscriptions.push({ group: others, topic });
    this.subscriptions.push({ group: lanes, topic: steps });
    return this;
  }

  /** Lets days pass: sends, deliveries, acknowledgements, failures, crashes and restarts by chance. */
  async live(days: number): Promise<void> {
    const endMs = this.clock.wallMs() + days * day;
    while (this.clock.wallMs() < endMs) await this.step();
  }

  /** Nothing more is sent; all that is there is delivered, and acknowledged or given up. */
  async drain(): Promise<void> {
    for (let quiet = 0; quiet < 5;) {
      const before = this.ledger.progress;
      for (const subscription of this.subscriptions) this.pollSome(subscription, 1);
      await this.pass(40 * second);
      quiet = this.ledger.progress === before ? quiet + 1 : 0;
    }
  }

  /** What was promised and is not so, in words. */
  async broken(): Promise<readonly string[]> {
    await this.look();
    return this.ledger.verdict(this.subscriptions, this.clock.wallMs());
  }

  /** Every group takes what is there for it, until there is nothing: then it has been given everything. */
  private async audit(): Promise<void> {
    for (const { group, topic } of this.subscriptions) {
      if (group.fifo) continue; // What stands behind a message that failed waits, as it should.
      while ((await this.takeAll(group, topic)) > 0) await turns(1);
      await this.look();
      this.ledger.audit(group, topic);
    }
    this.did.audits += 1;
  }

  private async takeAll(group: ConsumerGroup, topic: Topic): Promise<number> {
    let count: number | undefined;
    this.pollSome({ group, topic }, 0.85, (messages) => (count = messages));
    for (let turn = 0; count === undefined; turn += 1) {
      if (turn > 20_000) throw new Error('a poll that does not wait is not answered');
      await turns(1);
    }
    return count;
  }

  private async step(): Promise<void> {
    const { chance } = this;
    // Mostly a trickle, now and then a burst.
    for (let i = chance.below(chance.chance(0.05) ? 60 : 4); i > 0; i -= 1) this.sendSome();
    if (chance.chance(0.8)) {
      for (let i = 1 + chance.below(3); i > 0; i -= 1) this.pollSome(chance.pick(this.subscriptions), 0.85);
    }
    if (chance.chance(0.3)) this.decideDeal();
    await turns(4);
    const luck = chance.below(1_000);
    if (luck < 20) await this.crashNow();
    else if (luck < 30) await this.restartNow();
    await this.pass(chance.pick([0, second, 20 * second, 3 * minute, 20 * minute]));
    if (this.clock.wallMs() < this.nextAuditMs) return;
    this.nextAuditMs = this.clock.wallMs() + auditEveryMs;
    await this.audit();
  }

  /** Time goes on, and what it started is done. The ledger looks before anything it saw can be over. */
  private async pass(ms: number): Promise<void> {
    for (let left = ms; ;) {
      const stepMs = Math.min(left, minute);
      this.clock.advance(stepMs);
      await turns(4);
      await this.look();
      left -= stepMs;
      if (left <= 0) return;
    }
  }

  private async look(): Promise<void> {
    const nowMs = this.clock.wallMs();
    const { store } = this.broker;
    this.did.compacted = Math.max(this.did.compacted, store.sizes.segmentsCompacted);
    const all = [...this.topics];
    for (const { name } of new Set(this.subscriptions.map(({ group }) => group))) {
      const topic = this.directory.topic(deadLetterTopic(name));
      if (!topic) continue;
      this.ledger.watchDeadLetters(topic, name);
      all.push(topic);
    }
    for (const topic of all) {
      for (let queue = 0; queue < topic.readQueues; queue += 1) {
        const queueId = queue as QueueId;
        this.ledger.expired(topic, queue, store.bounds(topic.id, queueId).first, nowMs);
        for (let from = this.ledger.seenTo(topic, queue) as QueueOffset; ;) {
          const entries = await store.scan(topic.id, queueId, from, 64);
          if (entries.count === 0) break;
          for (let i = 0; i < entries.count; i += 1) {
            const { payload, timestampMs } = await store.read(entries.position(i), entries.size(i));
            this.ledger.saw(topic, queue, entries.from + i, new Envelope(payload), timestampMs);
          }
          from = entries.end;
        }
      }
    }
    this.ledger.looked();
  }

  private sendSome(): void {
    const { chance } = this;
    const topic = chance.pick(this.topics);
    // Some can't be consumed by anybody.
    const id = `${topic.name}-${this.ids++}${chance.chance(0.05) ? '!' : ''}`;
    const queue = topic.type === MessageType.fifo ? 0 : chance.below(topic.writeQueues);
    const body = Buffer.alloc(chance.pick([20, 400, 2_500]), 'b');
    const life = this.lives;
    this.did.sent += 1;
    this.ledger.tried(id);
    const send = async (): Promise<void> => {
      switch (topic.type) {
        case MessageType.delay: {
          const dueMs = this.clock.wallMs() + chance.pick([second, 10 * minute, 5 * hour, 30 * hour]);
          const { pending } = await this.sendAny(id, { dueMs }, topic, queue, body);
          if (life !== this.lives) return;
          this.ledger.accepted(id, dueMs);
          if (pending) this.waiting.push({ id, place: pending });
          return;
        }
        case MessageType.transaction: {
          // Long before anybody asks what became of it.
          const { pending } = await this.sendAny(id, { checkAfterMs: 7 * day }, topic, queue, body);
          if (life === this.lives && pending) this.halves.push({ id, place: pending });
          return;
        }
        default: {
          const group = topic.type === MessageType.fifo ? { group: Buffer.from(`lane-${chance.below(4)}`) } : {};
          await this.sendAny(id, group, topic, queue, body);
          if (life === this.lives) this.ledger.accepted(id);
        }
      }
    };
    this.forgetErrors(send());
  }

  private decideDeal(): void {
    const { chance, halves, waiting } = this;
    const life = this.lives;
    const half = halves.length > 0 ? halves.splice(chance.below(halves.length), 1)[0] : undefined;
    if (half) {
      const resolution = chance.chance(0.7) ? 'commit' : 'rollback';
      const decide = async (): Promise<void> => {
        await this.endDeal(half.place, resolution);
        if (life !== this.lives) return;
        if (resolution === 'commit') this.ledger.accepted(half.id);
        else this.ledger.takenBack(half.id);
      };
      this.forgetErrors(decide());
    }
    const late = waiting.length > 20 ? waiting.splice(chance.below(waiting.length), 1)[0] : undefined;
    if (!late || !chance.chance(0.2)) return;
    const recall = async (): Promise<void> => {
      this.ledger.uncertain(late.id); // Until it is answered, either may be.
      await settle<{ messageId: string }>((done) => this.broker.recall({ place: late.place }, done));
      if (life === this.lives) this.ledger.takenBack(late.id);
    };
    this.forgetErrors(recall());
  }

  private endDeal(place: PendingPlace, resolution: 'commit' | 'rollback'): Promise<void> {
    return settle((done) => this.broker.endTransaction({ place, resolution, checked: false }, done));
  }

  private pollSome({ group, topic }: Subscription, acked: number, then?: (messages: number) => void): void {
    const { chance } = this;
    const life = this.lives;
    this.did.polls += 1;
    const call: Partial<ReceiveCall> = {
      groupId: group.id,
      topicId: topic.id,
      messagesMax: 1 + chance.below(32),
      invisibleMs,
      clientId: `c${chance.below(3)}`,
    };
    const act = async (): Promise<void> => {
      const messages = await this.poll(call);
      if (life !== this.lives) return;
      this.ledger.delivered(group, topic, messages);
      then?.(messages.length);
      for (const message of messages) {
        const id = new Envelope(message.payload).id;
        if (id.endsWith('!') || !chance.chance(acked)) {
          if (group.fifo) return; // What stands behind it waits.
          continue;
        }
        await this.ackOne(group, topic, message, life);
      }
    };
    this.forgetErrors(act());
  }

  private async ackOne(group: ConsumerGroup, topic: Topic, message: Delivered, life: number): Promise<void> {
    this.ledger.acknowledging(group, topic, message.receipt);
    await this.ack(message.receipt);
    if (life === this.lives) this.ledger.acknowledged(group, topic, message.receipt);
  }

  private async crashNow(): Promise<void> {
    this.did.crashes += 1;
    this.lives += 1;
    await this.crash(this.chance);
  }

  private async restartNow(): Promise<void> {
    await this.pass(0);
    this.did.restarts += 1;
    this.lives += 1;
    await this.restart();
  }

  /** Refused, or nobody's any more: what was promised counts, nothing else. */
  private forgetErrors(act: Promise<unknown>): void {
    act.catch((caught: unknown) => {
      if (this.ledger.isOurs(caught)) this.ledger.fault(caught);
    });
  }
}

export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
