/** Delayed messages on a whole broker: log, checkpoints, crashes, and time in our hands. */
import { Envelope, MessageType, queueId, type PendingPlace, type QueueOffset, type Topic } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { BrokerWorld, ids, settle } from './broker-world.js';

const second = 1_000;
const hour = 3_600 * second;

class DelayWorld extends BrokerWorld {
  override async start(): Promise<this> {
    await super.start();
    this.topic = await this.nameService.createTopic({ name: 'later', type: MessageType.delay });
    return this;
  }

  async sendAt(id: string, dueMs: number, topic: Topic = this.topic): Promise<PendingPlace> {
    const { pending } = await this.sendAny(id, { dueMs }, topic);
    if (!pending) throw new Error(`${id} was delivered at once`);
    return pending;
  }

  recall(place: PendingPlace): Promise<{ messageId: string }> {
    return settle((done) => this.broker.recall({ place }, done));
  }

  /** Time goes on, and the broker has done what is due. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settled();
  }

  async settled(): Promise<void> {
    const { broker } = this;
    const nowMs = this.clock.wallMs();
    const isBehind = (): boolean => broker.delayed.firstDueMs <= nowMs || broker.delayed.nearEndMs <= nowMs;
    for (let turns = 0; isBehind(); turns += 1) {
      if (turns > 10_000) throw new Error('what is due is not delivered');
      this.clock.advance(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await settle<void>((done) => broker.store.whenCommitted(broker.store.appendEnd, (error) => done(error, undefined)));
  }

  /** All that is visible: id and the time it became so. */
  async visible(topic: Topic = this.topic): Promise<{ id: string; atMs: number; dueMs: number }[]> {
    const found = [];
    for (let from = 0 as QueueOffset; ;) {
      const entries = await this.broker.store.scan(topic.id, queueId(0), from, 100);
      if (entries.count === 0) return found;
      for (let i = 0; i < entries.count; i += 1) {
        const { payload, timestampMs } = await this.broker.store.read(entries.position(i), entries.size(i));
        const envelope = new Envelope(payload);
        found.push({ id: envelope.id, atMs: timestampMs, dueMs: envelope.dueMs ?? 0 });
      }
      from = entries.end;
    }
  }

  async visibleIds(): Promise<string[]> {
    return (await this.visible()).map(({ id }) => id);
  }
}

let world: DelayWorld;
beforeEach(async () => {
  world = await new DelayWorld().start();
});
afterEach(() => world.broker.stop());

const inMs = (ms: number): number => world.clock.wallMs() + ms;

describe('a delayed message', () => {
  it('is delivered when its time has come, to the millisecond, and not before', async () => {
    await world.sendAt('b', inMs(1_234));
    await world.sendAt('a', inMs(1_233));
    await world.pass(1_232);
    expect(await world.visibleIds()).toEqual([]);
    await world.pass(1);
    expect(await world.visibleIds()).toEqual(['a']);
    await world.pass(1);
    expect(await world.visibleIds()).toEqual(['a', 'b']);
    expect(ids(await world.poll())).toEqual(['a', 'b']);
  });

  it('whose time has passed is delivered at once', async () => {
    expect((await world.sendAny('now', { dueMs: inMs(0) })).pending).toBeUndefined();
    expect(ids(await world.poll())).toEqual(['now']);
  });

  it('wakes a poll that waits', async () => {
    await world.sendAt('a', inMs(5 * second));
    const got = world.poll({ waitMs: 10 * second });
    await world.pass(5 * second);
    expect(ids(await got)).toEqual(['a']);
  });

  it('waits through restarts and crashes, however far away it is', async () => {
    await world.sendAt('a', inMs(30 * hour));
    await world.restart();
    await world.crash();
    await world.pass(29 * hour);
    expect(await world.visibleIds()).toEqual([]);
    await world.pass(hour);
    expect(await world.visibleIds()).toEqual(['a']);
  });

  it('is delivered late rather than early when the wall clock is set back, and not twice', async () => {
    await world.sendAt('a', inMs(10 * second));
    await world.sendAt('b', inMs(20 * second));
    await world.pass(10 * second);
    world.clock.jumpWall(-hour);
    await world.pass(15 * second);
    expect(await world.visibleIds()).toEqual(['a']);
    await world.pass(hour);
    expect(await world.visibleIds()).toEqual(['a', 'b']);
  });

  it('of a deleted topic goes nowhere and keeps nobody up', async () => {
    const other = await world.nameService.createTopic({ name: 'other', type: MessageType.delay });
    await world.sendAt('gone', inMs(second), other);
    await world.sendAt('a', inMs(second));
    await world.nameService.deleteTopic('other');
    await world.pass(second);
    expect(await world.visibleIds()).toEqual(['a']);
    expect(world.broker.delayed.size).toBe(0);
  });
});

describe('a recall', () => {
  it('takes a message back for good, and may be repeated', async () => {
    const place = await world.sendAt('a', inMs(10 * second));
    expect(await world.recall(place)).toEqual({ messageId: 'a' });
    expect(await world.recall(place)).toEqual({ messageId: 'a' });
    await world.crash();
    expect(await world.recall(place)).toEqual({ messageId: 'a' });
    await world.pass(20 * second);
    expect(await world.visibleIds()).toEqual([]);
  });

  it('comes too late after the delivery', async () => {
    const place = await world.sendAt('a', inMs(second));
    await world.pass(second);
    await expect(world.recall(place)).rejects.toThrow('MESSAGE_NOT_FOUND');
  });

  it('finds what lies far away on disk; two at once are one', async () => {
    const dueMs = inMs(30 * hour);
    const places = await Promise.all(Array.from({ length: 600 }, (_, i) => world.sendAt(`m${i}`, dueMs + (i % 7))));
    await world.broker.store.checkpoint();
    await world.crash();
    const place = places[333] as PendingPlace;
    expect(world.broker.delayed.standing(place.position, place.dueMs)).toBe('far');
    const both = await Promise.all([world.recall(place), world.recall(place)]);
    expect(both).toEqual([{ messageId: 'm333' }, { messageId: 'm333' }]);
    await world.pass(31 * hour);
    const wanted = places.map((_, i) => `m${i}`).filter((id) => id !== 'm333');
    expect((await world.visibleIds()).sort()).toEqual(wanted.sort());
  });

  it('names one message: another size or topic is none', async () => {
    const place = await world.sendAt('a', inMs(10 * second));
    await expect(world.recall({ ...place, size: place.size + 1 })).rejects.toThrow();
    await expect(world.recall({ ...place, topicId: world.group.id as never })).rejects.toThrow('MESSAGE_NOT_FOUND');
    await world.pass(10 * second);
    expect(await world.visibleIds()).toEqual(['a']);
  });
});

it('a message that was moved is delivered at its new time, and can still be recalled by its first handle', async () => {
  const a = await world.sendAt('a', inMs(10 * second));
  const b = await world.sendAt('b', inMs(10 * second));
  const c = await world.sendAt('c', inMs(hour));
  const { waiting } = world.broker;
  if (!waiting) throw new Error('the broker leads');
  await waiting.delays.move(a, inMs(2 * hour));
  await waiting.delays.move(b, inMs(3 * hour));
  await waiting.delays.move(c, inMs(second));
  await world.crash();
  await world.pass(second);
  expect(await world.visibleIds()).toEqual(['c']);
  await world.recall(b);
  await world.pass(4 * hour);
  expect(await world.visibleIds()).toEqual(['c', 'a']);
});

it('lists what waits in order of time, in pages, wherever it lies', async () => {
  const other = await world.nameService.createTopic({ name: 'other', type: MessageType.delay });
  const chance = new Prng(7);
  const wanted: { id: string; dueMs: number }[] = [];
  const sendSome = (count: number): Promise<void[]> => {
    const sends = Array.from({ length: count }, async (_, i) => {
      const dueMs = inMs(chance.pick([second, hour, 3 * hour, 50 * hour]) + chance.below(4_000));
      const place = await world.sendAt(`m${i}`, dueMs, i % 3 === 0 ? other : world.topic);
      if (i % 3 !== 0) wanted.push({ id: String(place.position), dueMs });
    });
    return Promise.all(sends);
  };
  await sendSome(1_600);
  await world.broker.store.checkpoint();
  await sendSome(300);
  await world.crash();
  const far = world.broker.waiting?.delays.far;
  const found: { id: string; dueMs: number }[] = [];
  let after = { dueMs: 0, position: -1 };
  for (;;) {
    const page = await far?.list({ topicId: world.topic.id, fromMs: 0, toMs: Infinity, after, max: 170 });
    if (!page || page.length === 0) break;
    for (const { position, dueMs } of page) found.push({ id: String(position), dueMs });
    after = page[page.length - 1] as typeof after;
  }
  wanted.sort((a, b) => a.dueMs - b.dueMs || Number(a.id) - Number(b.id));
  expect(found).toEqual(wanted);
});

// Goal: what was acknowledged is delivered once, never before its time, or never if it was recalled, whatever crashes.
// Method: send, recall, move and wait by chance; cut the power by chance; compare what became visible with a ledger.
it.each(seeds(6))('delayed messages survive everything (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const ledger = new Map<string, { place: PendingPlace; dueMs: number; recalled: boolean }>();
  let count = 0;
  for (let step = 0; step < 20; step += 1) {
    switch (chance.below(6)) {
      case 0:
      case 1: {
        const sends = Array.from({ length: chance.below(chance.pick([5, 200])) }, async () => {
          const id = `m${count++}`;
          const dueMs = inMs(1 + chance.below(chance.pick([50, 10 * second, hour, 30 * hour])));
          ledger.set(id, { place: await world.sendAt(id, dueMs), dueMs, recalled: false });
        });
        await Promise.all(sends);
        break;
      }
      case 2:
        await world.pass(chance.below(chance.pick([100, 20 * second, 3 * hour])));
        break;
      case 3:
        for (const [id, entry] of [...ledger].slice(-chance.below(20))) {
          if (entry.dueMs <= world.clock.wallMs()) continue;
          expect(await world.recall(entry.place)).toEqual({ messageId: id });
          entry.recalled = true;
        }
        break;
      case 4:
        await world.broker.store.checkpoint();
        break;
      default:
        if (chance.chance(0.5)) world.clock.advance(chance.below(10 * second)); // With what is due half done.
        await world.crash(chance);
        break;
    }
  }
  await world.pass(31 * hour);
  const visible = await world.visible();
  for (const { id, atMs, dueMs } of visible) if (atMs < dueMs) throw new Error(`${id} came ${dueMs - atMs} ms early`);
  const wanted = [...ledger].filter(([, { recalled }]) => !recalled).map(([id]) => id);
  expect(visible.map(({ id }) => id).sort()).toEqual(wanted.sort());
  expect(world.broker.delayed.size).toBe(0);
});
