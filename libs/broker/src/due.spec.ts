/** What is due is known and acted on, whoever asks for messages; and receipts say whether they counted. */
import { deadLetterTopic, MessageType, type Receipt } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { brokerSamples } from './broker-metrics.js';
import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, ids, settle } from './broker-world.js';

let world: BrokerWorld;
afterEach(() => world.broker.stop());

/** Lets time pass in steps, so that what one of them begins can end. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    world.clock.advance(Math.min(left, 1_000));
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  }
}

async function figures(): Promise<{ inFlight: number; ready: number; lag: number }> {
  const { queues } = await new BrokerReports(world.broker, world.directory, 'broker-0', '0').describeGroup(
    'broker-0',
    world.group.id,
  );
  const samples = [...brokerSamples(world.broker, world.directory, world.clock)];
  const metric = (name: string): number =>
    Number(samples.find((sample) => sample.metric === name && sample.labels['consumer_group'] === 'readers')?.value);
  const sum = (of: 'inFlight' | 'ready'): number => queues.reduce((total, queue) => total + queue[of], 0);
  const told = { inFlight: sum('inFlight'), ready: sum('ready') };
  expect(metric('rocketmq_consumer_inflight_messages')).toBe(told.inFlight);
  expect(metric('rocketmq_consumer_ready_messages')).toBe(told.ready);
  return { ...told, lag: metric('rocketmq_consumer_lag_messages') };
}

async function deadLetters(): Promise<string[]> {
  const dead = world.directory.topic(deadLetterTopic(world.group.name));
  if (!dead) return [];
  const reader = await world.nameService.ensureGroup('undertaker');
  return ids(await world.poll({ topicId: dead.id, groupId: reader.id, clientId: 'undertaker' }));
}

describe('messages whose consumers died', () => {
  it('are ready again when their leases end, not in flight, though nobody asks, also after a restart', async () => {
    world = await new BrokerWorld().start();
    for (const id of ['a', 'b', 'c']) await world.send(id);
    await world.poll({ messagesMax: 2, autoRenew: true, invisibleMs: 60_000 });
    expect(await figures()).toEqual({ inFlight: 2, ready: 1, lag: 3 });
    await pass(240_000);
    expect(await figures()).toEqual({ inFlight: 0, ready: 3, lag: 3 });
    await world.restart();
    expect(await figures()).toEqual({ inFlight: 0, ready: 3, lag: 3 });
    await world.poll({ messagesMax: 1 });
    expect(await figures()).toEqual({ inFlight: 1, ready: 2, lag: 3 });
  });

  it.each([
    ['in any order', false],
    ['in order', true],
  ])('are dead letters after their last attempt, %s, though nobody asks, also after a restart', async (_, fifo) => {
    world = await new BrokerWorld().start(1);
    if (fifo) await world.nameService.updateGroup('readers', { fifo });
    await world.send('a');
    await world.send('b');
    await world.poll({ messagesMax: 1 });
    await pass(9_000);
    expect(await deadLetters()).toEqual([]);
    await pass(3_000);
    expect(await deadLetters()).toEqual(['a']);
    await world.poll({ messagesMax: 1 });
    await world.restart();
    await pass(12_000);
    expect(await deadLetters()).toEqual(['a', 'b']);
    expect(await figures()).toEqual({ inFlight: 0, ready: 0, lag: 0 });
  });

  it('are moved when that is possible again, and when fewer attempts are allowed', async () => {
    world = await new BrokerWorld().start(2);
    await world.send('a');
    await world.poll();
    await pass(12_000);
    expect(await deadLetters()).toEqual([]);
    const broken = jest
      .spyOn(world.nameService, 'ensureInnerTopic')
      .mockRejectedValue(new MqError('UNAVAILABLE', 'away'));
    await world.nameService.updateGroup('readers', { attemptsMax: 1 });
    await pass(3_000);
    expect(broken).toHaveBeenCalled();
    expect(await figures()).toMatchObject({ ready: 1 });
    broken.mockRestore();
    await pass(2_000);
    expect(await deadLetters()).toEqual(['a']);
  });
});

describe('a receipt', () => {
  const change = (receipt: Receipt): Promise<unknown> =>
    settle((done) => world.broker.changeInvisible({ receipt, invisibleMs: 20_000 }, done));
  const refused = { code: 'INVALID_RECEIPT_HANDLE' };

  it('is taken once and again; what it can not change any more is said', async () => {
    world = await new BrokerWorld().start();
    await world.send('a');
    const [first] = await world.poll();
    world.clock.advance(10_001);
    const [second] = await world.poll();
    await expect(world.ack(first!.receipt)).rejects.toMatchObject(refused); // Somebody else holds the message.
    await expect(change(first!.receipt)).rejects.toMatchObject(refused);
    world.clock.advance(10_001);
    await world.ack(first!.receipt); // Nobody does any more: it counts.
    await world.ack(second!.receipt);
    await expect(change(second!.receipt)).rejects.toMatchObject(refused);
    await settle<void>((done) => world.broker.deadLetter({ receipt: second!.receipt }, done));
  });

  it('from before a reset is refused, and frees the lane of its message group at once', async () => {
    world = await new BrokerWorld().start();
    world.topic = await world.nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    await world.nameService.updateGroup('readers', { fifo: true });
    for (const id of ['a1', 'a2']) await world.sendAs(id, { group: Buffer.from('a') });
    const old = await world.poll({ invisibleMs: 3_600_000 });
    const call = { groupId: world.group.id, topicId: world.topic.id, queueId: undefined, to: { at: 'first' } } as const;
    await world.broker.resetProgress(call);
    const waiting = world.poll({ clientId: 'other', waitMs: 600_000 });
    await expect(world.ack(old[0]!.receipt)).rejects.toMatchObject(refused);
    expect(world.broker.waitingPolls).toBe(1);
    await expect(change(old[1]!.receipt)).rejects.toMatchObject(refused);
    expect(ids(await waiting)).toEqual(['a1', 'a2']);
  });
});
