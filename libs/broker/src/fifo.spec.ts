/** Orderly consumer groups on a whole broker: log, crash, waiting polls, dead letters. */
import { type Delivered, type ReceiveCall } from '@cometmq/client';
import { deadLetterTopic, MessageType, type EnvelopeDraft, type Receipt } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { BrokerWorld, ids, settle } from './broker-world.js';

class FifoWorld extends BrokerWorld {
  override async start(attemptsMax = 17): Promise<this> {
    await super.start(attemptsMax);
    this.topic = await this.nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    this.group = await this.nameService.createGroup({
      name: 'ordered',
      fifo: true,
      attemptsMax,
      retryPolicy: { kind: 'customized', nextMs: [1_000, 5_000] },
    });
    return this;
  }

  async sendTo(group: string, ...names: string[]): Promise<void> {
    for (const name of names) await this.sendAs(name, { group: Buffer.from(group) });
  }

  pollAs(clientId: string, given: Partial<ReceiveCall> = {}): Promise<readonly Delivered[]> {
    return this.poll({ clientId, ...given });
  }

  async ackAll(messages: readonly Delivered[]): Promise<void> {
    await Promise.all(messages.map(({ receipt }) => this.ack(receipt)));
  }

  change(receipt: Receipt, invisibleMs: number): Promise<unknown> {
    return settle((done) => this.broker.changeInvisible({ receipt, invisibleMs }, done));
  }
}

const attempts = (messages: readonly Delivered[]): number[] => messages.map(({ receipt }) => receipt.attempt);

let world: FifoWorld;
beforeEach(async () => {
  world = await new FifoWorld().start();
});
afterEach(() => world.broker.stop());

describe('an orderly group', () => {
  it('gets one message group with one client at a time, and wakes who waits when it comes free', async () => {
    await world.sendTo('a', 'a1', 'a2');
    const first = await world.pollAs('one', { messagesMax: 1 });
    expect(ids(first)).toEqual(['a1']);
    const waiting = world.pollAs('two', { waitMs: 20_000 });
    await world.sendTo('b', 'b1');
    expect(ids(await waiting)).toEqual(['b1']);
    const next = world.pollAs('two', { waitMs: 20_000 });
    await world.ackAll(first);
    expect(ids(await next)).toEqual(['a2']);
  });

  it('knows who holds what after a restart', async () => {
    await world.sendTo('a', 'a1', 'a2');
    const [held] = await world.pollAs('one', { messagesMax: 1 });
    await world.restart();
    expect(await world.pollAs('two')).toEqual([]);
    await world.ack(held!.receipt);
    expect(ids(await world.pollAs('two'))).toEqual(['a2']);
  });

  it('answers a repeated attempt with the same messages and attempts, across a restart', async () => {
    await world.sendTo('a', 'a1', 'a2');
    await world.sendTo('b', 'b1');
    expect(ids(await world.pollAs('one', { attemptId: 'try-1' }))).toEqual(['a1', 'a2', 'b1']);
    await world.restart();
    const again = await world.pollAs('one', { attemptId: 'try-1' });
    expect(ids(again)).toEqual(['a1', 'a2', 'b1']);
    expect(attempts(again)).toEqual([1, 1, 1]);
    expect(await world.pollAs('one', { attemptId: 'try-2' })).toEqual([]);
  });

  it('is answered only when the delivery is safe', async () => {
    await world.sendTo('a', 'a1');
    const { store } = world.broker;
    let position = 0;
    const { append } = store;
    store.append = (...args) => {
      const placed = append.apply(store, args);
      position = placed.end;
      return placed;
    };
    await settle((done) => {
      world.pollWith({}, (error, result) => {
        expect(store.commitEnd).toBeGreaterThanOrEqual(position);
        expect(position).toBeGreaterThan(0);
        done(error, result);
      });
    });
  });

  it('takes back at once what a client did not wait for', async () => {
    await world.sendTo('a', 'a1');
    const cancel = world.pollWith({ clientId: 'one', waitMs: 5_000 }, () => undefined);
    cancel(); // The delivery is on its way to the disk.
    const next = await world.pollAs('two', { waitMs: 5_000 });
    expect([ids(next), attempts(next)]).toEqual([['a1'], [1]]);
  });

  it('goes on when a message is a dead letter, and nobody has to ask twice', async () => {
    await world.broker.stop();
    world = await new FifoWorld().start(2);
    await world.sendTo('a', 'poison', 'a2');
    for (const attempt of [1, 2]) {
      const [message] = await world.pollAs('one', { messagesMax: 1 });
      expect([ids([message!]), message!.receipt.attempt]).toEqual([['poison'], attempt]);
      await world.change(message!.receipt, 0);
    }
    const [next] = await world.pollAs('one', { waitMs: 20_000 });
    expect(ids([next!])).toEqual(['a2']);
    const dlq = world.directory.topic(deadLetterTopic(world.group.name))!;
    const plain = await world.nameService.createGroup({ name: 'cleaners' });
    expect(ids(await world.poll({ topicId: dlq.id, groupId: plain.id }))).toEqual(['poison']);
  });

  it('lets a lane rest by the retry policy when its client died, not when it said good-bye', async () => {
    await world.sendTo('a', 'a1');
    await world.pollAs('one', { autoRenew: true, invisibleMs: 60_000 });
    await settle<void>((done) => world.broker.clientGone({ clientId: 'one', groupId: world.group.id }, done));
    expect(ids(await world.pollAs('two', { autoRenew: true, invisibleMs: 60_000 }))).toEqual(['a1']);
    const waiting = world.pollAs('three', { waitMs: 600_000 });
    let cameMs = 0;
    void waiting.then(() => (cameMs = world.clock.monotonicMs()));
    const startMs = world.clock.monotonicMs();
    for (let i = 0; i < 300 && cameMs === 0; i += 1) {
      world.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Dead after 120 s of silence, found within 5 s; then 5 s of rest after the second attempt.
    expect(cameMs - startMs).toBeGreaterThanOrEqual(125_000);
    expect(cameMs - startMs).toBeLessThan(135_000);
    expect(attempts(await waiting)).toEqual([3]);
  });
});

describe('a message of a group that is sent again', () => {
  it('is answered as the first time and not stored again, also when the next one is there already', async () => {
    const send = (id: string, group = 'g') => world.sendAs(id, { group: Buffer.from(group) });
    expect([await send('1'), await send('2'), await send('1')]).toEqual([0, 1, 0]);
    world.clock.advance(300_000);
    await world.broker.store.checkpoint();
    expect(await send('3')).toBe(2);
    await world.restart();
    expect([await send('2'), await send('3'), await send('1')]).toEqual([1, 2, 0]);
    expect(ids(await world.pollAs('one'))).toEqual(['1', '2', '3']);
  });

  it('is answered once the first is safe when that is still under way', async () => {
    const [first, again] = await Promise.all([
      world.sendAs('1', { group: Buffer.from('g') }),
      world.sendAs('1', { group: Buffer.from('g') }),
    ]);
    expect([first, again]).toEqual([0, 0]);
  });

  it('is another one in another topic or group, without a group, or ten minutes later', async () => {
    const other = await world.nameService.createTopic({ name: 'others', type: MessageType.fifo });
    const group = Buffer.from('g');
    expect(await world.sendAs('1', { group })).toBe(0);
    expect(await world.sendAs('1', { group }, other)).toBe(0);
    expect(await world.sendAs('1', { group: Buffer.from('h') })).toBe(1);
    expect([await world.sendAs('1', {}), await world.sendAs('1', {})]).toEqual([2, 3]);
    expect(await world.sendAs('1', { group }, other)).toBe(0);
    world.clock.advance(601_000);
    expect(await world.sendAs('2', { group })).toBe(4);
    world.clock.advance(61_000);
    expect(await world.sendAs('3', { group })).toBe(5);
    expect(await world.sendAs('1', { group })).toBe(6);
  });
});

describe('another message with the same id', () => {
  const sendBody = (id: string, body: string, draft: Partial<EnvelopeDraft> = {}, topic = world.topic) =>
    world.sendAs(id, { group: Buffer.from('g'), ...draft }, topic, 0, Buffer.from(`body of ${body}`));

  it('is stored in its place, if its body, its tag or its keys are others, also beside the first in one batch', async () => {
    const offsets = await Promise.all([
      sendBody('1', 'a'),
      sendBody('1', 'b'),
      sendBody('2', 'c'),
      sendBody('1', 'd', { tag: Buffer.from('T') }),
      sendBody('1', 'd', { keys: [Buffer.from('k')] }),
    ]);
    expect(offsets).toEqual([0, 1, 2, 3, 4]);
    expect(await Promise.all([sendBody('1', 'b'), sendBody('1', 'e'), sendBody('1', 'a')])).toEqual([1, 5, 0]);
    await world.crash();
    expect(await Promise.all([sendBody('1', 'a'), sendBody('1', 'b'), sendBody('1', 'f')])).toEqual([0, 1, 6]);
    expect(ids(await world.pollAs('one'))).toEqual(['a', 'b', 'c', 'd', 'd', 'e', 'f']);
  });

  it('is stored in a lite topic too', async () => {
    const topic = await world.nameService.createTopic({ name: 'sessions', type: MessageType.lite });
    const draft = { liteTopic: Buffer.from('t') };
    const sent = ['a', 'b', 'a', 'c'].map((body) => sendBody('1', body, draft, topic));
    expect(await Promise.all(sent)).toEqual([0, 1, 0, 2]);
  });

  // Goal: what was answered is stored, in the order it was sent, and what comes again is answered as before. Method:
  // messages by chance of few ids and bodies, many at a time, with checkpoints and crashes between, against a plain list.
  it.each(seeds(10))('is told from one that comes again, whatever comes together (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const stored: string[] = [];
    for (let round = 0; round < 8; round += 1) {
      const batch = Array.from({ length: 1 + chance.below(12) }, () => [chance.below(3), chance.below(4)] as const);
      const expected = batch.map(([id, body]) => {
        const known = stored.indexOf(`${id} ${body}`);
        return known < 0 ? stored.push(`${id} ${body}`) - 1 : known;
      });
      expect(await Promise.all(batch.map(([id, body]) => sendBody(`${id}`, `${id} ${body}`)))).toEqual(expected);
      if (chance.below(3) === 0) await world.broker.store.checkpoint();
      if (chance.below(3) === 0) await world.crash(chance);
    }
    expect(ids(await world.pollAs('one'))).toEqual(stored);
  });
});

it('keeps other groups going past 10,000 messages that wait behind a stuck one', async () => {
  await world.sendTo('stuck', 's0');
  const [stuck] = await world.pollAs('one');
  await Promise.all(
    Array.from({ length: 10_000 }, (_, i) => world.sendAs(`s${i + 1}`, { group: Buffer.from('stuck') })),
  );
  await world.sendTo('free', 'f1');
  expect(ids(await world.pollAs('two', { waitMs: 5_000 }))).toEqual(['f1']);
  await world.ack(stuck!.receipt);
  const seen: string[] = [];
  while (seen.length < 10_000) {
    const next = await world.pollAs('two');
    expect(next.length).toBeGreaterThan(0);
    seen.push(...ids(next));
    await world.ackAll(next);
  }
  expect(seen).toEqual(Array.from({ length: 10_000 }, (_, i) => `s${i + 1}`));
});
