/**
 * What every kind of record means. Goal: whatever a leader writes, each view that folds the kind reads it as it was
 * meant. Method: for each kind a real leader does what makes it write such a record, about several things at once where
 * the kind can; then each view that lists the kind says what it knows now. Started again with nothing but the log, all
 * say the same. A kind without a story does not compile; a view that begins to fold a kind must be asked.
 */
import type { Peer, TransferCall, TransferredMessage } from '@cometmq/client';
import { someTraits } from '@cometmq/client/testing';
import { deadLetterTopic, encodeEnvelope, encodeLagSampled, MessageType, queueId, RecordKind } from '@cometmq/model';
import type { ConsumerGroup, LogPosition, PendingPlace, QueueOffset, Topic, Transfer } from '@cometmq/model';
import { Message } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { CommitLog, DataFolder, type Candidate } from '@cometmq/store';

import { BrokerWorld, settle } from './broker-world.js';

/** By view name: what it says now. */
type Says = () => Record<string, unknown> | Promise<Record<string, unknown>>;
interface Told {
  readonly says: Says;
  readonly wanted: Record<string, unknown>;
}

type About = Pick<TransferredMessage, 'past' | 'letter'>;

class KindsWorld extends BrokerWorld {
  /** One message to each of the topic's first `queues` queues. */
  async sendEach(topic: Topic, queues: number, id = 'm'): Promise<void> {
    for (let q = 0; q < queues; q += 1) await this.sendAny(`${id}${q}`, {}, topic, q);
  }
  async pending(id: string, topic: Topic, dueMs?: number): Promise<PendingPlace> {
    const { pending } = await this.sendAny(id, dueMs === undefined ? { checkAfterMs: 1_000 } : { dueMs }, topic);
    if (!pending) throw new Error(`${id} is visible at once`);
    return pending;
  }
  topicOf(type: MessageType, name = 'second', queues = 1): Promise<Topic> {
    return this.nameService.createTopic({ name, type, readQueues: queues, writeQueues: queues });
  }
  end(place: PendingPlace, resolution: 'commit' | 'rollback'): Promise<void> {
    return settle((done) => this.broker.endTransaction({ place, resolution, checked: false }, done));
  }
  setOffset(group: ConsumerGroup, topic: Topic, q: number, offset: number): Promise<unknown> {
    const ask = { kind: 'setForGroup', groupId: group.id, offset: offset as QueueOffset } as const;
    return settle((done) => this.broker.offsets({ topicId: topic.id, queueId: queueId(q), ask }, done));
  }
  /** Producers that can be asked about half messages. */
  produce(topic: Topic): void {
    const producer = { clientId: 'p', topicIds: [topic.id], language: 'JAVA', version: '5', streaming: true };
    this.broker.onCommand('proxy', () => undefined);
    this.broker.reportSessions({ proxyId: 'proxy', sessions: [], producers: [producer] });
  }
  private takes = 0;
  /** A message of another set, for the group alone. */
  async takeOne(topic: Topic, id: string, liteTopic?: string, about: About = {}): Promise<void> {
    const none = Buffer.alloc(0);
    const draft = { type: topic.type, tag: none, id: Buffer.from(id), group: none, keys: [] };
    const lite = liteTopic === undefined ? {} : { liteTopic: Buffer.from(liteTopic) };
    const payload = Buffer.concat([encodeEnvelope({ ...draft, ...lite }), Buffer.from(`body of ${id}`)]);
    const audience = { only: true, groups: [{ groupId: this.group.id, attempts: 0 }] };
    this.nameService.putSet({ name: 'broker-0' });
    this.takes += 1;
    await this.broker.takeTransfer({
      ...{ brokerSet: 'broker-0', from: 'broker-1', log: 5, transfer: (this.takes * 64) as LogPosition },
      messages: [
        {
          index: 0,
          topicId: topic.id,
          queueId: queueId(0),
          tagHash: 0,
          groupHash: 0,
          audience,
          payload,
          ...about,
        },
      ],
    });
  }
  /** Messages that are not for everybody. */
  transferred(): string[] {
    return this.broker.views.transfers.describe().filter((line) => line.includes('+'));
  }
  /** This set leaves; another one takes its messages. */
  async leave(takeTransfer: (call: TransferCall) => Promise<void>): Promise<void> {
    this.peers = { peer: () => ({ takeTransfer }) as unknown as Peer };
    await this.restart();
    this.nameService.putSet({ name: 'broker-0', stage: 'draining' });
    this.nameService.putSet({ name: 'broker-1', leader: 'b:1' });
  }
  async pass(ms: number, isOver: () => boolean): Promise<void> {
    for (let turns = 0; !isOver(); turns += 1) {
      if (turns > 10_000) throw new Error('what was waited for does not come');
      this.clock.advance(ms);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  async passRetention(isOver: () => boolean): Promise<void> {
    for (let rounds = 0; !isOver(); rounds += 1) {
      if (rounds > 20) throw new Error('nothing expires');
      this.clock.advance(60_000);
      await this.broker.store.retention.run(0, () => undefined); // Waits for the round that the clock began.
    }
  }
  /** All that was appended is. */
  async committed(): Promise<void> {
    const { store } = this.broker;
    await settle<void>((done) => store.whenCommitted(store.appendEnd, (error) => done(error, undefined)));
  }

  // ---- what views say

  progress(topic = this.topic, q = 0, group = this.group): string | undefined {
    const figures = this.broker.groups.figures(group.id, topic.id, queueId(q));
    if (!figures) return undefined;
    const { committed, frontier, inFlight } = figures;
    return `committed ${committed}, frontier ${frontier}, in flight ${inFlight}`;
  }
  /** Of those in flight: held by nobody. */
  waiting(): number | undefined {
    return this.broker.groups.figures(this.group.id, this.topic.id, queueId(0))?.waiting;
  }
  held(clientId: string): string {
    const held = this.broker.groups.heldBy(this.group.id, clientId);
    return held.map(({ topicId, queueId: q, offset }) => `${topicId}/${q}/${offset}`).join(' ');
  }
  due(topic = this.topic): number | undefined {
    return this.broker.groups.nextDueMs(this.group.id, topic.id);
  }
  bounds(topic: Topic, ...queues: number[]): string {
    const one = (q: number): string => {
      const { first, committed } = this.broker.store.bounds(topic.id, queueId(q));
      return `${first}-${committed}`;
    };
    return queues.map(one).join(' ');
  }
  count(topic: Topic): number {
    return this.broker.store.topicSize(topic.id).messages;
  }
  waits(topic: Topic): number {
    return this.broker.store.pendingSize(topic.id).messages;
  }
  timers(topic: Topic): number {
    return this.broker.delayed.sizes.get(topic.id) ?? 0;
  }
  /** When it is due, wherever it stands. */
  dueAt(place: PendingPlace): Promise<number | undefined> {
    return this.broker.waiting!.delays.far.find(place, (timer) => timer?.dueMs);
  }
  checks({ position }: PendingPlace): number | undefined {
    return this.broker.halfMessages.half(position)?.checks;
  }
  halves(topic: Topic): number {
    return this.broker.halfMessages.sizes.get(topic.id) ?? 0;
  }
  /** How many pending messages are known to be released or dropped. */
  async released(): Promise<number> {
    const { pieces } = await this.broker.store.snapshot();
    let sum = 0;
    for (const [key, { length }] of pieces) if (key.startsWith('released/r')) sum += (length - 1) / 8;
    return sum;
  }
  /** Dead letters of the group. */
  async letters(): Promise<readonly Candidate[]> {
    const topic = this.directory.topic(deadLetterTopic(this.group.name))!;
    const entries = await this.broker.store.scan(topic.id, queueId(0), 0 as QueueOffset, 100);
    return Array.from({ length: entries.count }, (_, i) => ({ position: entries.position(i), size: entries.size(i) }));
  }
  pulled(group: ConsumerGroup): string[] {
    return this.broker.pullOffsets.of(group.id).map(({ topicId, offset }) => `${topicId}: ${offset}`);
  }

  /** Every record this broker wrote. It must have been stopped. */
  async kindsInLog(): Promise<Set<RecordKind>> {
    const folder = await DataFolder.open(this.disk, 'data', 'broker-0');
    const fail = (error: Error): void => {
      throw error;
    };
    const log = new CommitLog(this.disk, 'data/log', {}, new ManualClock(), {
      onFailed: fail,
      onSealed: () => undefined,
    });
    await log.open(undefined, folder.salt);
    const kinds = new Set<RecordKind>();
    await log.scan(log.first, ({ kind }) => kinds.add(kind));
    await log.close();
    await folder.release();
    return kinds;
  }
}

const { delay, fifo, lite, normal, transaction } = MessageType;

const stories: Record<keyof typeof RecordKind, (world: KindsWorld) => Promise<Told>> = {
  async epochStart(world) {
    await world.restart();
    const starts = (): number[] => world.broker.store.epochs.slice(0, 2).map(({ epoch }) => epoch);
    return { says: () => ({ epochs: starts() }), wanted: { epochs: [1, 2] } };
  },

  async message(world) {
    const other = await world.topicOf(normal, 'second', 2);
    await world.send('plain');
    await world.sendAny('a', { group: Buffer.from('g') }, other, 0);
    await world.sendAny('b', { group: Buffer.from('g') }, other, 1);
    const places = (id: string): number => {
      const none = Buffer.alloc(0);
      const envelope = encodeEnvelope({ type: normal, tag: none, id: Buffer.from(id), group: none, keys: [] });
      return world.broker.views.dedupWindow.find(other.id, envelope, [Buffer.from(`body of ${id}`)]).length;
    };
    return {
      says: () => ({
        directory: [world.bounds(world.topic, 0), world.bounds(other, 0, 1)],
        sizes: [world.count(world.topic), world.count(other)],
        dedupWindow: [places('a'), places('b'), places('plain')],
      }),
      wanted: { directory: ['0-1', '0-1 0-1'], sizes: [1, 2], dedupWindow: [1, 1, 0] },
    };
  },

  /** For each of the reasons: a dead letter, a delayed message, a half one that its producer or an operator commits. */
  async reference(world) {
    const later = await world.topicOf(delay, 'later');
    const deals = await world.topicOf(transaction, 'deals');
    const [first, second] = [await world.pending('a', deals), await world.pending('b', deals)];
    const dueMs = world.clock.wallMs() + 5_000;
    await world.pending('soon', later, dueMs);
    await world.pending('far', later, dueMs + 3_600_000);
    await world.send('poison');
    const [poison] = await world.poll();
    await settle<void>((done) => world.broker.deadLetter({ receipt: poison!.receipt }, done));
    await world.end(first, 'commit');
    await world.broker.waiting!.transactions.resolve(second, 'commit', 'ada');
    await world.pass(1_000, () => world.timers(later) === 1);
    await world.committed();
    const dead = await world.nameService.ensureInnerTopic(deadLetterTopic(world.group.name));
    return {
      says: async () => ({
        directory: [later, deals, dead].map((topic) => world.bounds(topic, 0)),
        sizes: [later, deals, dead].map((topic) => world.count(topic)),
        pending: [later, deals].map((topic) => world.waits(topic)),
        released: await world.released(),
        timers: world.timers(later),
        transactions: world.halves(deals),
      }),
      wanted: {
        directory: ['0-1', '0-2', '0-1'],
        sizes: [1, 2, 1],
        pending: [1, 0],
        released: 3,
        timers: 1,
        transactions: 0,
      },
    };
  },

  /** As many as the number of the other topic expire in the first of two queues. */
  async expiry(world) {
    const went = await world.nameService.createTopic({ name: 'went', retentionMs: 60_000 });
    await world.takeOne(went, 'only for the group');
    await world.send('kept');
    for (const { receipt } of await world.poll()) await world.ack(receipt);
    const short = await world.nameService.createTopic({
      name: 'short',
      writeQueues: 2,
      readQueues: 2,
      retentionMs: 60_000,
    });
    for (let i = 0; i < world.topic.id; i += 1) await world.sendAny(`e${i}`, {}, short, 0);
    for (let i = 0; i < 3; i += 1) await world.sendAny(`f${i}`, {}, short, 1);
    await world.poll({ topicId: short.id, messagesMax: 1 });
    await world.passRetention(() => world.bounds(short, 0, 1) === `${world.topic.id}-${world.topic.id} 3-3`);
    await world.send('after');
    return {
      says: () => ({
        directory: [world.bounds(world.topic, 0), world.bounds(short, 0, 1)],
        sizes: [world.count(world.topic), world.count(short)],
        groups: [world.progress(), world.progress(short)],
        transfers: world.transferred(),
      }),
      wanted: {
        directory: ['0-2', '1-1 3-3'],
        sizes: [2, 0],
        groups: ['committed 1, frontier 1, in flight 0', 'committed 1, frontier 1, in flight 0'],
        transfers: [],
      },
    };
  },

  async topicDeleted(world) {
    const topics = [await world.topicOf(normal), await world.topicOf(normal, 'third')];
    const later = [await world.topicOf(delay, 'later-1'), await world.topicOf(delay, 'later-2')];
    const deals = [await world.topicOf(transaction, 'deals-1'), await world.topicOf(transaction, 'deals-2')];
    const chats = [await world.topicOf(lite, 'chats-1'), await world.topicOf(lite, 'chats-2')];
    for (const topic of topics) {
      await world.send('m', '', topic);
      await world.poll({ topicId: topic.id });
      await world.setOffset(world.group, topic, 0, 7);
    }
    for (const topic of later) await world.pending('t', topic, world.clock.wallMs() + 60_000);
    for (const topic of deals) await world.pending('h', topic);
    for (const topic of chats) await world.sendAs('l', { liteTopic: Buffer.from('chat') }, topic);
    for (const topic of topics) await world.takeOne(topic, 'only for the group');
    for (const [gone] of [topics, later, deals, chats]) await world.nameService.deleteTopic(gone!.name);
    await world.committed();
    return {
      says: () => ({
        directory: topics.map((topic) => world.bounds(topic, 0)),
        sizes: topics.map((topic) => world.count(topic)),
        pending: [...later, ...deals].map((topic) => world.waits(topic)),
        groups: topics.map((topic) => world.progress(topic)),
        pullOffsets: world.pulled(world.group),
        lite: chats.map((topic) => world.broker.liteTopics.countOf(topic.id)),
        timers: later.map((topic) => world.timers(topic)),
        transactions: deals.map((topic) => world.halves(topic)),
        metadata: topics.map((topic) => world.broker.metadata.topics.get(topic.id)?.name),
        transfers: world.transferred(),
      }),
      wanted: {
        metadata: [undefined, 'third'],
        directory: ['0-0', '0-2'],
        sizes: [0, 2],
        transfers: [`${topics[1]!.id}/0 1+1 only ${world.group.id}`],
        pending: [0, 1, 0, 1],
        groups: [undefined, 'committed 0, frontier 1, in flight 1'],
        pullOffsets: [`${topics[1]!.id}: 7`],
        lite: [0, 1],
        timers: [0, 1],
        transactions: [0, 1],
      },
    };
  },

  async pending(world) {
    const later = await world.topicOf(delay, 'later');
    const deals = await world.topicOf(transaction, 'deals');
    const dueMs = world.clock.wallMs() + 5_000;
    const late = await world.pending('late', later, dueMs);
    const half = await world.pending('half', deals);
    return {
      says: async () => ({
        pending: [world.waits(later), world.waits(deals)],
        timers: [world.timers(later), world.timers(deals), await world.dueAt(late)],
        transactions: [world.halves(later), world.halves(deals), world.broker.halfMessages.half(half.position)?.checks],
      }),
      wanted: { pending: [1, 1], timers: [1, 0, dueMs], transactions: [0, 1, 0] },
    };
  },

  async dropped(world) {
    const later = await world.topicOf(delay, 'later');
    const deals = await world.topicOf(transaction, 'deals');
    const dueMs = world.clock.wallMs() + 5_000;
    const timers = [await world.pending('a', later, dueMs), await world.pending('b', later, dueMs + 1)];
    const halves = [await world.pending('c', deals), await world.pending('d', deals)];
    await settle((done) => world.broker.recall({ place: timers[0]! }, done));
    await world.end(halves[0]!, 'rollback');
    return {
      says: async () => ({
        pending: [world.waits(later), world.waits(deals)],
        released: await world.released(),
        timers: [world.timers(later), world.broker.delayed.wasTakenBack(timers[0]!.position)],
        transactions: halves.map((half) => world.broker.halfMessages.decideEnd(half, 'rollback').outcome),
      }),
      wanted: { pending: [1, 1], released: 2, timers: [1, true], transactions: ['already', 'now'] },
    };
  },

  async delivery(world) {
    const other = await world.topicOf(normal, 'second', 2);
    await world.sendEach(other, 2);
    await world.poll({ topicId: other.id, clientId: 'c1', messagesMax: 1 });
    const dueMs = world.due(other);
    return {
      says: () => ({
        groups: [world.progress(other), world.progress(other, 1), world.held('c1'), world.due(other)],
      }),
      wanted: {
        groups: [
          'committed 0, frontier 1, in flight 1',
          'committed 0, frontier 0, in flight 0', // It begins in all queues at once.
          `${other.id}/0/0`,
          dueMs,
        ],
      },
    };
  },

  async fifoDelivery(world) {
    const steps = await world.topicOf(fifo, 'steps');
    world.group = await world.nameService.createGroup({ name: 'ordered', fifo: true });
    for (const id of ['a1', 'a2']) await world.sendAs(id, { group: Buffer.from('a') }, steps);
    await world.sendAs('b1', { group: Buffer.from('b') }, steps);
    await world.poll({ topicId: steps.id, clientId: 'c1', messagesMax: 1 });
    return {
      says: () => {
        const { lanes } = world.broker.groups.figures(world.group.id, steps.id, queueId(0))!;
        return { groups: [world.progress(steps), lanes, world.held('c1')] };
      },
      wanted: { groups: ['committed 0, frontier 1, in flight 1', 1, `${steps.id}/0/0`] },
    };
  },

  /** Of several messages, of two queues, in one record. */
  async ack(world) {
    const other = await world.topicOf(normal, 'second', 2);
    for (const id of ['a', 'b', 'c']) await world.sendEach(other, 2, id);
    const messages = [];
    for (const q of [0, 1]) messages.push(...(await world.poll({ topicId: other.id, queueId: q })));
    const isDone = ({ offset, queueId: q }: { offset: number; queueId: number }): boolean => offset < 2 - q;
    const done = messages.filter(({ receipt }) => isDone(receipt));
    await Promise.all(done.map(({ receipt }) => world.ack(receipt)));
    return {
      says: () => ({ groups: [world.progress(other), world.progress(other, 1)] }),
      wanted: {
        groups: ['committed 2, frontier 3, in flight 1', 'committed 1, frontier 3, in flight 2'],
      },
    };
  },

  async changeInvisible(world) {
    for (const id of ['a', 'b']) await world.send(id);
    const [, b] = await world.poll();
    await settle((done) => world.broker.changeInvisible({ receipt: b!.receipt, invisibleMs: 2_000 }, done));
    const dueMs = world.due()!;
    return {
      says: () => ({ groups: [world.progress(), world.waiting(), world.due()] }),
      wanted: { groups: ['committed 0, frontier 2, in flight 2', 1, dueMs] },
    };
  },

  async changeClientLeases(world) {
    for (const id of ['a', 'b']) await world.send(id);
    await world.poll({ messagesMax: 1, clientId: 'goes', autoRenew: true, invisibleMs: 60_000 });
    await world.poll({ messagesMax: 1, clientId: 'stays', autoRenew: true, invisibleMs: 60_000 });
    await settle<void>((done) => world.broker.clientGone({ clientId: 'goes', groupId: world.group.id }, done));
    await world.committed();
    const dueMs = world.due();
    expect(dueMs).toBeLessThanOrEqual(world.clock.wallMs());
    return {
      says: () => ({ groups: [world.progress(), world.held('goes'), world.held('stays'), world.due()] }),
      wanted: {
        groups: ['committed 0, frontier 2, in flight 2', `${world.topic.id}/0/0`, `${world.topic.id}/0/1`, dueMs],
      },
    };
  },

  async handBack(world) {
    for (const id of ['a', 'b']) await world.send(id);
    const [, b] = await world.poll({ clientId: 'c1' });
    await settle<void>((done) => world.broker.handBack({ receipts: [b!.receipt] }, done));
    return {
      says: () => ({ groups: [world.progress(), world.held('c1'), world.waiting()] }),
      wanted: { groups: ['committed 0, frontier 2, in flight 2', `${world.topic.id}/0/0`, 1] },
    };
  },

  async resetProgress(world) {
    const other = await world.topicOf(normal, 'second', 2);
    for (const id of ['a', 'b']) await world.sendEach(other, 2, id);
    for (const q of [0, 1]) await world.poll({ topicId: other.id, queueId: q });
    const call = { groupId: world.group.id, topicId: other.id, queueId: queueId(1) };
    await world.broker.resetProgress({ ...call, to: { at: 'offset', offset: 1 } });
    return {
      says: () => ({ groups: [world.progress(other), world.progress(other, 1)] }),
      wanted: {
        groups: ['committed 0, frontier 2, in flight 2', 'committed 1, frontier 1, in flight 0'],
      },
    };
  },

  /** To the group it is another chance; to the topic it is a new message, and the record is there to be looked at. */
  async deadLettersReplayed(world) {
    for (const id of ['a', 'b', 'c']) {
      const message = Message.encode(Message.fromPartial({ body: Buffer.from(id) })).finish();
      await world.sendAs(id, {}, world.topic, 0, message);
    }
    for (const { receipt } of await world.poll()) await settle((done) => world.broker.deadLetter({ receipt }, done));
    await world.committed();
    const letters = await world.letters();
    const call = { groupId: world.group.id, replayId: 'r1', who: 'ada' };
    const outcomes = await world.broker.replays.replay({ ...call, places: [letters[1]!, letters[1]!, letters[2]!] });
    expect(outcomes).toEqual(['replayed', 'open', 'replayed']);
    await world.broker.replays.resend({ ...call, place: letters[0]! }, () => Promise.resolve([]));
    const dueMs = world.due();
    expect(dueMs).toBeLessThanOrEqual(world.clock.wallMs());
    return {
      says: () => ({ groups: [world.progress(), world.waiting(), world.due()] }),
      wanted: { groups: ['committed 1, frontier 3, in flight 2', 0, dueMs] },
    };
  },

  /** From two other sets; one message is for one group, which has been given it before. */
  async transferred(world) {
    const other = await world.topicOf(normal, 'second', 2);
    const none = Buffer.alloc(0);
    const payloadOf = (id: string, group: string): Buffer => {
      const draft = { type: normal, tag: none, id: Buffer.from(id), group: Buffer.from(group), keys: [] };
      return Buffer.concat([encodeEnvelope(draft), Buffer.from(`body of ${id}`)]);
    };
    const only = { only: true, groups: [{ groupId: world.group.id, attempts: 2 }] };
    const messages = [
      { id: 'a', q: 0, audience: { only: false, groups: [] } },
      { id: 'b', q: 1, audience: only },
      { id: 'c', q: 1, audience: { only: false, groups: [] } },
    ].map(({ id, q, audience }, index) => ({
      ...{ index, topicId: other.id, queueId: queueId(q), tagHash: 0, groupHash: id === 'b' ? 7 : 0, audience },
      ...{ payload: payloadOf(id, id === 'b' ? 'g' : ''), delayed: false },
    }));
    world.nameService.putSet({ name: 'broker-0' });
    const call = { brokerSet: 'broker-0', from: 'broker-1', log: 5, transfer: 64 as LogPosition };
    await world.broker.takeTransfer({ ...call, messages: messages.slice(0, 2) });
    await world.broker.takeTransfer({ ...call, messages });
    await world.broker.takeTransfer({ ...call, transfer: 32 as LogPosition, messages });
    await world.broker.takeTransfer({
      ...call,
      from: 'broker-2',
      transfer: 9 as LogPosition,
      messages: messages.slice(0, 1),
    });
    const find = (id: string): number => {
      const payload = payloadOf(id, id === 'b' ? 'g' : '');
      const envelope = payload.subarray(0, payload.length - `body of ${id}`.length);
      return world.broker.views.dedupWindow.find(other.id, envelope, [Buffer.from(`body of ${id}`)]).length;
    };
    return {
      says: () => ({
        directory: world.bounds(other, 0, 1),
        sizes: world.count(other),
        dedupWindow: [find('a'), find('b')],
        transfers: world.broker.views.transfers.describe(),
      }),
      wanted: {
        directory: '0-2 0-2',
        sizes: 4,
        dedupWindow: [0, 1],
        transfers: [
          `${other.id}/1 0+1 only ${world.group.id}:2`,
          'from 5/broker-1 64 2',
          'from 5/broker-2 9 0',
          'sent 0',
        ],
      },
    };
  },

  /** What a group is not done with, some of which it was given; the other set does not answer. */
  async transfer(world) {
    for (const id of ['a', 'b', 'c']) await world.send(id);
    const [first] = await world.poll({ messagesMax: 2 });
    await world.ack(first!.receipt);
    world.clock.advance(10_001); // Nobody holds the second one any more.
    await world.leave(() => Promise.reject(new MqError('UNAVAILABLE', 'it is away')));
    await world.pass(500, () => world.broker.views.transfers.onTheirWay === 2);
    await world.committed();
    const [open] = world.broker.views.transfers.open();
    expect((open!.transfer as Transfer).queues[0]!.messages.map(({ audience }) => audience)).toEqual([
      { only: false, groups: [{ groupId: world.group.id, attempts: 1 }] },
      { only: false, groups: [{ groupId: world.group.id, attempts: 0 }] },
    ]);
    return {
      says: () => ({ groups: world.progress(), transfers: world.broker.views.transfers.describe() }),
      wanted: {
        groups: 'committed 2, frontier 2, in flight 0',
        transfers: [`${world.topic.id}/0 1+2 only nobody`, `open ${open!.position} to broker-1: 2 messages`, 'sent 0'],
      },
    };
  },

  /** Of one group; somebody else's is there before. */
  async transferredLetter(world) {
    const dead = await world.nameService.ensureInnerTopic(deadLetterTopic(world.group.name));
    const letter = { groupId: world.group.id, originTopicId: world.topic.id, cause: 2, attempts: 5 };
    await world.takeOne(dead, 'a', undefined, { letter });
    await world.committed();
    const [found] = await world.broker.store.readAll(await world.letters());
    expect(found).toMatchObject({ originTopicId: world.topic.id, cause: 2, attempts: 5, letterOf: world.group.id });
    return {
      says: () => ({
        directory: world.bounds(dead, 0),
        sizes: world.count(dead),
        transfers: world.broker.views.transfers.describe(),
      }),
      wanted: {
        directory: '0-1',
        sizes: 1,
        transfers: [`${dead.id}/0 0+1 only ${world.group.id}`, 'from 5/broker-1 64 0', 'sent 0'],
      },
    };
  },

  async returnedLetter(world) {
    const dead = await world.nameService.ensureInnerTopic(deadLetterTopic(world.group.name));
    const letter = { groupId: world.group.id, originTopicId: world.topic.id, cause: 1, attempts: 5 };
    await world.takeOne(dead, 'a', undefined, { letter });
    const places = await world.letters();
    const call = { groupId: world.group.id, places, replayId: 'r', who: 'ada' };
    expect(await world.broker.replays.replay(call)).toEqual(['replayed']);
    await world.committed();
    return {
      says: () => ({
        directory: world.bounds(world.topic, 0),
        sizes: world.count(world.topic),
        transfers: world.broker.views.transfers.describe(),
      }),
      wanted: {
        directory: '0-1',
        sizes: 1,
        transfers: [
          `${world.topic.id}/0 0+1 only ${world.group.id}`,
          `${dead.id}/0 0+1 only ${world.group.id}`,
          'from 5/broker-1 64 0',
          'sent 0',
        ].sort(),
      },
    };
  },

  /** Of each sort one that waits here before, and stays. */
  async transferredPending(world) {
    const later = await world.topicOf(delay, 'later');
    const deals = await world.topicOf(transaction, 'deals');
    const dueMs = world.clock.wallMs() + 5_000;
    await world.pending('late', later, dueMs);
    await world.pending('half', deals);
    const places = [{ brokerSet: 'broker-1', position: 7 as LogPosition, size: 70 }];
    const half = { checks: 4, lastCheckMs: 1, nextCheckMs: dueMs, parked: false };
    await world.takeOne(later, 'a', undefined, { past: { dueMs: dueMs + 1, storedMs: 1, half: undefined, places } });
    await world.takeOne(deals, 'b', undefined, { past: { dueMs: 0, storedMs: 2, half, places } });
    await world.committed();
    const from = { position: 7 as LogPosition, size: 70, from: 'broker-1' };
    return {
      says: async () => {
        const { delays, transactions } = world.broker.waiting!;
        const there = await transactions.find({ ...from, topicId: deals.id, dueMs: 0 });
        return {
          pending: [world.waits(later), world.waits(deals)],
          timers: [world.timers(later), (await delays.find({ ...from, topicId: later.id, dueMs }))?.dueMs],
          transactions: [world.halves(deals), there?.checks, there?.storedMs, there?.nextCheckMs],
          transfers: world.broker.views.transfers.describe(),
        };
      },
      wanted: {
        pending: [2, 2],
        timers: [2, dueMs + 1],
        transactions: [2, 4, 2, dueMs],
        transfers: ['from 5/broker-1 128 0', 'sent 0'],
      },
    };
  },

  /** All that waits, and that no queue shows; the other set does not answer. */
  async transferPending(world) {
    const later = await world.topicOf(delay, 'later');
    const deals = await world.topicOf(transaction, 'deals');
    const dueMs = world.clock.wallMs() + 3_600_000;
    for (const id of ['a', 'b']) await world.pending(id, later, dueMs);
    await world.pending('c', deals);
    await world.leave(() => Promise.reject(new MqError('UNAVAILABLE', 'it is away')));
    await world.pass(500, () => world.broker.views.transfers.onTheirWay === 3);
    await world.committed();
    const [open] = world.broker.views.transfers.open();
    return {
      says: () => ({
        timers: world.timers(later),
        transactions: world.halves(deals),
        transfers: world.broker.views.transfers.describe(),
      }),
      wanted: {
        timers: 0,
        transactions: 0,
        transfers: [`open ${open!.position} to broker-1: 3 messages`, 'sent 0'],
      },
    };
  },

  async transferPendingDone(world) {
    const later = await world.topicOf(delay, 'later');
    const deals = await world.topicOf(transaction, 'deals');
    for (const id of ['a', 'b']) await world.pending(id, later, world.clock.wallMs() + 3_600_000);
    await world.pending('c', deals);
    const calls: TransferCall[] = [];
    await world.leave((call) => Promise.resolve(void calls.push(call)));
    await world.pass(500, () => world.broker.views.transfers.sent === 3);
    await world.committed();
    expect(calls.flatMap(({ messages }) => messages).map(({ past }) => past?.places)).toMatchObject([
      [{ brokerSet: 'broker-0' }],
      [{ brokerSet: 'broker-0' }],
      [{ brokerSet: 'broker-0' }],
    ]);
    return {
      says: async () => ({
        pending: [world.waits(later), world.waits(deals)],
        released: await world.released(),
        transfers: world.broker.views.transfers.describe(),
      }),
      wanted: { pending: [0, 0], released: 3, transfers: ['sent 3'] },
    };
  },

  async transferDone(world) {
    for (const id of ['a', 'b']) await world.send(id);
    const calls: TransferCall[] = [];
    await world.leave((call) => Promise.resolve(void calls.push(call)));
    await world.pass(500, () => world.broker.views.transfers.sent === 2);
    await world.committed();
    expect(calls).toMatchObject([{ brokerSet: 'broker-1', from: 'broker-0', messages: [{ index: 0 }, { index: 1 }] }]);
    return {
      says: () => ({ transfers: world.broker.views.transfers.describe() }),
      wanted: { transfers: [`${world.topic.id}/0 0+2 only nobody`, 'sent 2'] },
    };
  },

  /** Of a message group. */
  async transfersEnded(world) {
    const steps = await world.topicOf(fifo, 'steps');
    await world.sendAs('a', { group: Buffer.from('g') }, steps);
    await world.leave(() => Promise.resolve());
    await world.pass(500, () => world.broker.views.transfers.sent === 1);
    expect(world.broker.views.transfers.describe()).toContain(`leaving ${steps.id}`);
    world.nameService.putSet({ name: 'broker-0' });
    await world.pass(500, () => world.broker.views.transfers.sent === 0);
    await world.committed();
    return {
      says: () => ({ transfers: world.broker.views.transfers.describe() }),
      wanted: { transfers: [`${steps.id}/0 0+1 only nobody`, 'sent 0'] },
    };
  },

  /** Nobody folds it: it is there to be looked at. */
  async groupMoved(world) {
    await world.send('a');
    await world.poll();
    const move = { id: 'move-1', who: 'ada', undoes: '' };
    await world.broker.resetProgress({ groupId: world.group.id, topicId: world.topic.id, to: { at: 'first' }, move });
    return { says: () => ({}), wanted: {} };
  },

  /** Nobody folds it: it is there to be looked at. */
  async lagSampled(world) {
    world.broker.note?.(RecordKind.lagSampled, encodeLagSampled([{ groupId: world.group.id, lag: 1, oldestMs: 2 }]));
    await world.committed();
    return { says: () => ({}), wanted: {} };
  },

  async groupDeleted(world) {
    const groups = [
      await world.nameService.createGroup({ name: 'one' }),
      await world.nameService.createGroup({ name: 'two' }),
    ];
    await world.send('a');
    for (const { id } of groups) await world.poll({ groupId: id });
    for (const group of groups) await world.setOffset(group, world.topic, 0, 5);
    await world.nameService.deleteGroup('one');
    await world.committed();
    return {
      says: () => ({
        groups: groups.map((group) => world.progress(world.topic, 0, group)),
        pullOffsets: groups.map((group) => world.pulled(group)),
        metadata: groups.map((group) => world.broker.metadata.groups.get(group.id)?.name),
      }),
      wanted: {
        metadata: [undefined, 'two'],
        groups: [undefined, 'committed 0, frontier 1, in flight 1'],
        pullOffsets: [[], [`${world.topic.id}: 5`]],
      },
    };
  },

  async pullOffset(world) {
    const other = await world.topicOf(normal, 'second', 2);
    await world.setOffset(world.group, world.topic, 0, 3);
    await world.setOffset(world.group, other, 1, 2 ** 40);
    return {
      says: () => ({ pullOffsets: world.pulled(world.group) }),
      wanted: { pullOffsets: [`${world.topic.id}: 3`, `${other.id}: ${2 ** 40}`] },
    };
  },

  async timerMoved(world) {
    const later = await world.topicOf(delay, 'later');
    const dueMs = world.clock.wallMs() + 60_000;
    const places = [await world.pending('a', later, dueMs), await world.pending('b', later, dueMs)];
    await world.broker.waiting!.delays.move(places[1]!, dueMs + 5_000);
    return {
      says: async () => ({
        timers: [world.timers(later), ...(await Promise.all(places.map((at) => world.dueAt(at))))],
      }),
      wanted: { timers: [2, dueMs, dueMs + 5_000] },
    };
  },

  async transactionChecked(world) {
    const deals = await world.topicOf(transaction, 'deals');
    const halves = [await world.pending('a', deals), await world.pending('b', deals)];
    world.produce(deals);
    await world.pass(500, () => halves.every((half) => world.checks(half) === 1));
    const nextMs = halves.map(({ position }) => world.broker.halfMessages.half(position)?.nextCheckMs);
    return {
      says: () => ({
        transactions: halves.map((half) => [
          world.checks(half),
          world.broker.halfMessages.half(half.position)?.nextCheckMs,
        ]),
      }),
      wanted: { transactions: nextMs.map((ms) => [1, ms]) },
    };
  },

  async transactionParked(world) {
    const deals = await world.topicOf(transaction, 'deals');
    const halves = [await world.pending('a', deals), await world.pending('b', deals)];
    const isParked = (): (boolean | undefined)[] =>
      halves.map(({ position }) => world.broker.halfMessages.half(position)?.parked);
    await world.pass(60_000, () => {
      world.produce(deals);
      return !isParked().includes(false);
    });
    const open = await world.pending('c', deals);
    return {
      says: () => ({ transactions: [isParked(), world.broker.halfMessages.half(open.position)?.parked] }),
      wanted: { transactions: [[true, true], false] },
    };
  },

  async transactionAudited(world) {
    const deals = await world.topicOf(transaction, 'deals');
    const [a, b] = [await world.pending('a', deals), await world.pending('b', deals)];
    await world.broker.waiting!.transactions.resolve(a, 'commit', 'ada');
    await world.broker.waiting!.transactions.resolve(b, 'rollback', 'grace');
    return {
      says: () => ({
        transactions: world.broker.halfMessages.audits.map(({ who, resolution, topicId, position }) => {
          return { who, resolution, topicId, position };
        }),
      }),
      wanted: {
        transactions: [
          { who: 'ada', resolution: 'commit', topicId: deals.id, position: a.position },
          { who: 'grace', resolution: 'rollback', topicId: deals.id, position: b.position },
        ],
      },
    };
  },

  async liteTopicsCreated(world) {
    const chats = await world.topicOf(lite, 'chats');
    const { liteTopics } = world.broker;
    for (const name of ['one', 'two']) await world.sendAs(name, { liteTopic: Buffer.from(name) }, chats);
    const queues = ['one', 'two'].map((name) => liteTopics.find(chats.id, name));
    expect(new Set(queues).size).toBe(2);
    return {
      says: () => ({
        lite: ['one', 'two', 'three'].map((name) => world.broker.liteTopics.find(chats.id, name)),
      }),
      wanted: { lite: [...queues, undefined] },
    };
  },

  async metadata(world) {
    const topic = await world.nameService.createTopic({ name: 'defined', writeQueues: 3 });
    const group = await world.nameService.createGroup({ name: 'readers-2', fifo: true });
    return {
      says: () => {
        const { version, topics, groups } = world.broker.metadata;
        return { metadata: [version?.clusterId, topics.get(topic.id)?.writeQueues, groups.get(group.id)?.fifo] };
      },
      wanted: { metadata: ['cluster-1', 3, true] },
    };
  },

  async featureLevel(world) {
    world.broker.store.raiseFeatureLevel(1, world.clock.wallMs());
    await world.committed();
    return { says: () => ({ featureLevel: world.broker.store.featureLevel }), wanted: { featureLevel: 1 } };
  },

  async liteTopicsDeleted(world) {
    const chats = await world.topicOf(lite, 'chats');
    const group = await world.nameService.createGroup({ name: 'agents', lite: { topic: 'chats' } });
    const names = ['one', 'two', 'three'];
    const session = { ...someTraits, streaming: true, clientId: 'c1', groupId: group.id, subscriptions: [] };
    world.broker.onCommand('proxy', () => undefined);
    world.broker.reportSessions({ proxyId: 'proxy', sessions: [session], producers: [] });
    const sync = { clientId: 'c1', groupId: group.id, topicId: chats.id, action: 'add', start: undefined } as const;
    await settle<void>((done) => world.broker.syncLite({ ...sync, liteTopics: names }, done));
    for (const name of names) await world.sendAs(name, { liteTopic: Buffer.from(name) }, chats);
    const queues = names.map((name) => world.broker.liteTopics.find(chats.id, name)!);
    await world.poll({ topicId: chats.id, groupId: group.id });
    expect(queues.map((queue) => world.progress(chats, queue, group))).not.toContain(undefined);
    for (const name of names) await world.takeOne(chats, name, name);
    for (const name of ['one', 'three']) world.broker.lite().topics.delete(chats.id, name);
    await world.committed();
    return {
      says: () => ({
        directory: queues.map((queue) => world.bounds(chats, queue)),
        sizes: world.count(chats),
        groups: queues.map((queue) => world.progress(chats, queue, group)),
        lite: names.map((name) => world.broker.liteTopics.find(chats.id, name)),
        transfers: world.transferred(),
      }),
      wanted: {
        directory: ['0-0', '0-2', '0-0'],
        sizes: 2,
        transfers: [`${chats.id}/${queues[1]} 1+1 only ${world.group.id}`],
        groups: [undefined, 'committed 0, frontier 1, in flight 1', undefined],
        lite: [undefined, queues[1], undefined],
      },
    };
  },
};

describe('a record that a leader writes', () => {
  it.each(Object.keys(stories) as (keyof typeof RecordKind)[])(
    'of kind %s means the same to every view',
    async (name) => {
      const world = await new KindsWorld().start();
      const { says, wanted } = await stories[name](world);
      const folding = world.broker.store.views.filter((view) => view.kinds.has(RecordKind[name]));
      expect(Object.keys(wanted).sort()).toEqual(folding.map((view) => view.name).sort());
      expect(await says()).toEqual(wanted);
      await world.restartWithoutCheckpoint();
      expect(await says()).toEqual(wanted);
      await world.broker.stop();
      expect((await world.kindsInLog()).has(RecordKind[name])).toBe(true);
    },
  );
});
