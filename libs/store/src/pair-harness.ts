/** Two stores with the same log, for specs: what one decides, the other comes to; and they change places. */
import { RecordKind } from '@cometmq/model';
import type { Epoch, LogPosition, QueueId, TopicId } from '@cometmq/model';
import type { MqError, Prng } from '@cometmq/shared';

import { MemoryDisk } from './disk/memory-disk.js';
import type { MessageStore } from './message-store.js';
import { idsOf, openStore, refer, send, sendPending } from './store-harness.js';
import type { OpenedStore } from './store-harness.js';
import type { Placed, QueuePlace } from './store-types.js';

/** A store that can be stopped and started again on what it left. */
export class Member {
  opened!: OpenedStore;

  constructor(readonly disk = new MemoryDisk()) {}

  get store(): MessageStore {
    return this.opened.store;
  }

  async start(follows: boolean): Promise<void> {
    this.opened = await openStore({ disk: this.disk, checkpoints: 'on the disk', follows });
  }

  /** Resolves when all that is committed here is folded, and all that was taken is durable. */
  async settled(): Promise<void> {
    const { store } = this;
    await new Promise<void>((resolve, reject) => store.replication.whenDurable(store.appendEnd, resolve, reject));
    for (let turns = 0; store.foldedEnd < store.commitEnd; turns += 1) {
      if (turns > 10_000) throw new Error('what is committed is not folded');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** A leader and a follower, both of whom must have what counts as committed. */
export class Pair {
  leader = new Member();
  follower = new Member();
  /** How many snapshots were taken. */
  installed = 0;
  private nowMs = 1000;
  private epoch = 1;
  private sent = 0;
  private targets: { position: LogPosition; size: number; topic: number; entry: QueuePlace }[] = [];
  private pending: { placed: Placed; topic: number }[] = [];
  private gone = new Set<number>();

  constructor(private readonly chance: Prng) {}

  async start(): Promise<void> {
    for (const member of [this.leader, this.follower]) await member.start(true);
    await this.takeOver(this.leader);
    const { salt } = this.leader.store;
    if (salt === undefined) throw new Error('a log that has begun has a salt');
    await this.follower.store.takeSalt(salt);
  }

  /** Decisions of all kinds, by chance. */
  act(count: number): void {
    const { chance } = this;
    const { store } = this.leader;
    for (let i = count; i > 0; i -= 1) {
      this.nowMs += chance.below(50);
      const { nowMs: timestampMs } = this;
      const topic = chance.pick([1, 2, 3, 4].filter((one) => !this.gone.has(one)));
      const queue = chance.below(3);
      const id = `m${(this.sent += 1)}`;
      const roll = chance.below(20);
      if (roll < 9) {
        const { position, size, offset } = send(store, {
          topic,
          queue,
          id,
          timestampMs,
          bodyBytes: chance.below(300),
          keys: ['k'],
        });
        const entry = { topicId: topic as TopicId, queueId: queue as QueueId, offset };
        this.targets.push({ position, size, topic, entry });
      } else if (roll < 11 && this.targets.length > 0) {
        this.referIfLiving(store, { topic, queue, timestampMs });
      } else if (roll < 13) {
        this.pending.push({ placed: sendPending(store, { topic, queue, id, timestampMs }), topic });
      } else if (roll < 15 && this.pending.length > 0) {
        const { placed, topic: origin } = this.takePending();
        if (chance.chance(0.5)) refer(store, { topic, queue, timestampMs }, { ...placed, topic: origin }, 2);
        else store.appendDropped([{ ...placed, topicId: origin as TopicId, dueMs: 0 }], timestampMs);
      } else if (roll === 15 && this.gone.size < 2 && chance.chance(0.2)) {
        this.gone.add(topic);
        this.targets = this.targets.filter((target) => target.topic !== topic);
        this.pending = this.pending.filter((one) => one.topic !== topic);
        store.deleteTopic(topic as TopicId, timestampMs);
      } else store.append(RecordKind.ack, timestampMs, Uint8Array.of(chance.below(4), chance.below(100)));
    }
  }

  /** The follower fetches what it lacks, up to some point; what both have is committed, up to some point. */
  async copy(all = false): Promise<void> {
    const { leader, follower, chance } = this;
    await leader.settled();
    const from = follower.store.replication;
    while (follower.store.appendEnd < leader.store.appendEnd && (all || !chance.chance(0.1))) {
      const bytes = await leader.store.replication.readBytes(follower.store.appendEnd, 1 + chance.below(3000));
      if (bytes) from.append(bytes);
      else await this.install();
      await leader.settled();
    }
    await follower.settled();
    const both = follower.store.appendEnd;
    leader.store.replication.advanceCommit(both);
    if (all || chance.chance(0.7)) from.advanceCommit(both);
    await follower.settled();
  }

  /** The leader is deposed: what it has not copied is gone; the follower leads. */
  async changePlaces(): Promise<void> {
    const [old, next] = [this.leader, this.follower];
    await this.takeOver(next);
    this.act(this.chance.below(5));
    await next.settled();
    const to = old.store.replication.commonEnd(next.store.epochs, next.store.appendEnd);
    await old.store.replication.stepDown(to);
    [this.leader, this.follower] = [next, old];
  }

  /** The follower gets a snapshot, while the leader goes on. */
  async install(): Promise<void> {
    const { leader, follower, chance } = this;
    this.installed += 1;
    const pieces = async function* (act: () => void): AsyncGenerator<Uint8Array> {
      for await (const piece of leader.store.snapshots.stream()) {
        if (chance.chance(0.3)) act();
        if (chance.chance(0.1)) void leader.store.checkpoint();
        yield piece;
      }
    };
    await follower.store.snapshots.install(pieces(() => this.act(chance.below(3))));
  }

  /** The leader goes on alone, and gives back what has expired: then the follower may lack what nobody has. */
  async goOnAlone(rounds: number): Promise<void> {
    const { store } = this.leader;
    for (let round = 0; round < rounds; round += 1) {
      this.act(this.chance.below(30));
      await this.leader.settled();
      store.replication.advanceCommit(store.appendEnd);
      void store.checkpoint();
      const ms = this.chance.below(1500);
      const run = store.retention.run(this.nowMs, () => ({ ms }));
      let over = false;
      void run.finally(() => (over = true));
      while (!over) {
        await this.leader.settled();
        store.replication.advanceCommit(store.appendEnd);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await run;
    }
  }

  /** Another member, with an empty disk, in the follower's place. */
  async replaceFollower(): Promise<void> {
    await this.follower.store.stop();
    this.follower = new Member();
    await this.follower.start(true);
    await this.follower.store.takeSalt(this.leader.store.salt ?? 0);
  }

  async restartFollower(): Promise<void> {
    await this.follower.store.stop();
    await this.follower.start(true);
  }

  /** Both say the same of everything. */
  async compare(): Promise<void> {
    await this.copy(true);
    const { leader, follower } = this;
    for (let topic = 1; topic <= 4; topic += 1) {
      for (let queue = 0; queue < 3; queue += 1) {
        const bounds = (store: MessageStore) => store.bounds(topic as TopicId, queue as QueueId);
        expect(bounds(follower.store)).toEqual(bounds(leader.store));
        const ids = await idsOf(leader.store, topic, queue);
        expect(ids).toHaveLength(bounds(leader.store).committed - bounds(leader.store).first);
        expect(await idsOf(follower.store, topic, queue)).toEqual(ids);
      }
    }
    expect(follower.opened.view.sums).toEqual(leader.opened.view.sums);
    expect(follower.store.epochs).toEqual(leader.store.epochs);
    const [one, two] = [await leader.store.snapshot(), await follower.store.snapshot()];
    expect(two.position).toBe(one.position);
    // In which pieces the released messages lie goes by when checkpoints were made.
    const pieces = (all: ReadonlyMap<string, Uint8Array>): string[] =>
      [...all]
        .filter(([key]) => !key.startsWith('released/'))
        .map(([key, value]) => `${key} ${Buffer.from(value).toString('hex')}`);
    expect(pieces(two.pieces).sort()).toEqual(pieces(one.pieces).sort());
    for (const { opened } of [leader, follower]) expect([opened.failures, opened.troubles]).toEqual([[], []]);
  }

  /** Expires by chance, and gives back what that freed; the follower does the latter on its own. */
  async retain(): Promise<void> {
    const policy = (): { ms: number } => ({ ms: 100 + this.chance.below(1000) });
    const round = this.leader.store.retention.run(this.nowMs, policy).catch((caught: unknown) => {
      expect((caught as MqError).code).toMatch(/NOT_LEADER|UNAVAILABLE/); // Deposed, or stopped, before it was committed.
    });
    let over = false;
    void round.then(() => (over = true));
    const copies = this.chance.below(6);
    for (let i = 0; i < copies && !over; i += 1) await this.copy(true);
  }

  private referIfLiving(store: MessageStore, to: { topic: number; queue: number; timestampMs: number }): void {
    const target = this.chance.pick(this.targets);
    const { first } = store.bounds(target.entry.topicId, target.entry.queueId);
    const act = (): unknown => refer(store, to, target, undefined, target.entry);
    if (target.entry.offset < first) expect(act).toThrow(/MESSAGE_NOT_FOUND.*expired/);
    else act();
  }

  private async takeOver(member: Member): Promise<void> {
    await member.store.replication.lead();
    const { appendEnd } = member.store;
    this.targets = this.targets.filter(({ position }) => position < appendEnd);
    // Committed when the other one has it; and never, should this one be deposed before.
    member.store.beginEpoch((this.epoch += 1) as Epoch, this.nowMs).catch((caught: unknown) => {
      expect(caught).toMatchObject({ code: 'NOT_LEADER' });
    });
    // Those of what the old leader alone knows are not ours to release; nor need any be.
    this.pending = [];
    this.gone = new Set([1, 2, 3, 4].filter((topic) => this.isGone(member.store, topic)));
    [this.leader, this.follower] = member === this.leader ? [this.leader, this.follower] : [member, this.leader];
  }

  private isGone(store: MessageStore, topic: number): boolean {
    return this.gone.has(topic) && !store.topicIds().includes(topic as TopicId);
  }

  private takePending(): { placed: Placed; topic: number } {
    return this.pending.splice(this.chance.below(this.pending.length), 1)[0] as { placed: Placed; topic: number };
  }
}
