import type { OffsetsCall, OffsetsResult, PullCall, PullResult } from '@cometmq/client';
import { deadLetterTopic, everything, queueId, queueOffset, type FilterExpression } from '@cometmq/model';

import { BrokerWorld, ids, settle } from './broker-world.js';

const tags = (expression: string): FilterExpression => ({ type: 'tag', expression });

function pullCall(world: BrokerWorld, offset: number, given: Partial<PullCall> = {}): PullCall {
  return {
    groupId: world.group.id,
    topicId: world.topic.id,
    queueId: queueId(0),
    offset: queueOffset(offset),
    messagesMax: 32,
    bytesMax: 1 << 20,
    filter: everything,
    clientId: 'p1',
    waitMs: 0,
    ...given,
  };
}
const pull = (world: BrokerWorld, offset: number, given: Partial<PullCall> = {}) =>
  settle<PullResult>((done) => world.broker.pull(pullCall(world, offset, given), done));
const offsets = (world: BrokerWorld, ask: OffsetsCall['ask'], queue = 0) =>
  settle<OffsetsResult>((done) =>
    world.broker.offsets({ topicId: world.topic.id, queueId: queueId(queue), ask }, done),
  ).then(({ offset }) => offset);
const idsOf = ({ messages }: PullResult) => ids(messages as never);

describe('pulling', () => {
  it('reads a queue from any offset, again and again, and touches nothing', async () => {
    const world = await new BrokerWorld().start();
    for (const id of ['a', 'b', 'c', 'd']) await world.send(id);
    const first = await pull(world, 1, { messagesMax: 2 });
    expect(idsOf(first)).toEqual(['b', 'c']);
    expect(first).toMatchObject({ nextOffset: 3, firstOffset: 0, endOffset: 4 });
    expect(first.messages.map(({ offset }) => offset)).toEqual([1, 2]);
    expect(idsOf(await pull(world, 1, { messagesMax: 2 }))).toEqual(['b', 'c']);
    expect(ids(await world.poll())).toEqual(['a', 'b', 'c', 'd']);
    await world.broker.stop();
  });

  it('waits for what it wants, and goes on where it has looked', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a', 'A');
    const waiting = pull(world, 0, { filter: tags('B'), waitMs: 20_000 });
    await world.send('a2', 'A');
    await world.send('b', 'B');
    const found = await waiting;
    expect(idsOf(found)).toEqual(['b']);
    expect(found.nextOffset).toBe(3);
    await world.broker.stop();
  });

  it('ends with nothing when its time has passed, and when it is taken back', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a', 'A');
    const waiting = pull(world, 0, { filter: tags('B'), waitMs: 5_000 });
    await new Promise((resolve) => setImmediate(resolve));
    world.clock.advance(5_000);
    expect(await waiting).toMatchObject({ messages: [], nextOffset: 1 });
    let answered = 0;
    const cancel = world.broker.pull(pullCall(world, 1, { waitMs: 5_000 }), () => (answered += 1));
    cancel();
    await world.send('b');
    world.clock.advance(5_000);
    await world.send('c');
    expect(answered).toBe(0);
    await world.broker.stop();
  });

  it.each([
    [9, 2],
    [-1, 0],
  ])('from offset %i says where it may go on: %i', async (offset, next) => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    await world.send('b');
    const found = await pull(world, offset, { waitMs: 5_000 });
    expect(found).toMatchObject({ messages: [], nextOffset: next, firstOffset: 0, endOffset: 2 });
    await world.broker.stop();
  });

  it('refuses a queue that is not there and a wrong expression', async () => {
    const world = await new BrokerWorld().start();
    await expect(pull(world, 0, { queueId: queueId(99) })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    const wrong: FilterExpression = { type: 'sql', expression: '(' };
    await expect(pull(world, 0, { filter: wrong })).rejects.toMatchObject({ code: 'ILLEGAL_FILTER_EXPRESSION' });
    await world.broker.stop();
  });

  it('answers what it got to when a search is long', async () => {
    const world = await new BrokerWorld().start();
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => world.send(`m${i}`, 'A')));
    const expression = Array.from({ length: 100 }, (_, i) => `n = '${i}'`).join(' OR '); // 205 looks a message.
    const found = await pull(world, 0, { filter: { type: 'sql', expression }, waitMs: 5_000 });
    expect(found.messages).toEqual([]);
    expect(found.nextOffset).toBe(Math.ceil(65_536 / 205));
    await world.broker.stop();
  });
});

describe('offsets', () => {
  it('of a queue: its ends, and that of a time', async () => {
    const world = await new BrokerWorld().start();
    expect([await offsets(world, { kind: 'first' }), await offsets(world, { kind: 'end' })]).toEqual([0, 0]);
    await world.send('a');
    world.clock.advance(60_000);
    const atMs = world.clock.wallMs();
    await world.send('b');
    expect([await offsets(world, { kind: 'first' }), await offsets(world, { kind: 'end' })]).toEqual([0, 2]);
    expect(await offsets(world, { kind: 'time', atMs })).toBe(1);
    expect(await offsets(world, { kind: 'time', atMs: 0 })).toBe(0);
    expect(await offsets(world, { kind: 'time', atMs: atMs + 10_000 })).toBe(2);
    await world.broker.stop();
  });

  it('of a group that pulls are what it said, also after a restart, and apart from what it is handed', async () => {
    const world = await new BrokerWorld().start();
    const groupId = world.group.id;
    await world.send('a');
    expect(await offsets(world, { kind: 'ofGroup', groupId })).toBeUndefined();
    await offsets(world, { kind: 'setForGroup', groupId, offset: queueOffset(1) });
    expect(ids(await world.poll())).toEqual(['a']);
    await world.restart();
    expect(await offsets(world, { kind: 'ofGroup', groupId })).toBe(1);
    const wrong = offsets(world, { kind: 'setForGroup', groupId, offset: queueOffset(-1) });
    await expect(wrong).rejects.toMatchObject({ code: 'ILLEGAL_OFFSET' });
    await world.broker.stop();
  });
});

it('no offset is kept for a group that was deleted', async () => {
  const world = await new BrokerWorld().start();
  const { id: groupId } = world.group;
  await world.send('a');
  await world.nameService.deleteGroup(world.group.name);
  const refused = offsets(world, { kind: 'setForGroup', groupId, offset: queueOffset(1) });
  const code = expect(refused).rejects.toMatchObject({ code: 'CONSUMER_GROUP_NOT_FOUND' });
  world.clock.advance(2_000);
  await code;
  expect(await offsets(world, { kind: 'ofGroup', groupId })).toBeUndefined();
  await world.broker.stop();
});

describe('a dead letter without a receipt', () => {
  const held = (world: BrokerWorld, messageId: string, clientId = 'c1') =>
    settle<void>((done) =>
      world.broker.deadLetter(
        { held: { groupId: world.group.id, topicId: world.topic.id, messageId, clientId } },
        done,
      ),
    );

  it('is found among what the client holds, and a second call for it is OK', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    await world.send('b');
    await world.poll();
    await held(world, 'b');
    await held(world, 'b');
    const dead = world.directory.topic(deadLetterTopic(world.group.name))!;
    expect(ids(await world.poll({ topicId: dead.id }))).toEqual(['b']);
    world.clock.advance(10_001);
    expect(ids(await world.poll())).toEqual(['a']);
    await world.broker.stop();
  });

  it.each([
    ['nobody sent', 'x', 'c1'],
    ['another holds', 'a', 'c2'],
  ])('that %s is refused', async (_what, messageId, clientId) => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    await world.poll();
    await expect(held(world, messageId, clientId)).rejects.toMatchObject({ code: 'INVALID_RECEIPT_HANDLE' });
    await world.broker.stop();
  });
});
