import type { ClientCommand, QueueReset, ResetCall } from '@cometmq/client';
import { someTraits } from '@cometmq/client/testing';
import { queueId } from '@cometmq/model';

import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, ids, settle } from './broker-world.js';

const reset = (world: BrokerWorld, to: ResetCall['to'], over: Partial<ResetCall> = {}): Promise<QueueReset[]> =>
  world.broker.resetProgress({ groupId: world.group.id, topicId: world.topic.id, queueId: queueId(0), to, ...over });

describe('a group that is set elsewhere', () => {
  it('goes on at the first message, at the end, at an offset, at a time: with what is delivered next', async () => {
    const world = await new BrokerWorld().start();
    for (const id of ['a', 'b']) await world.send(id);
    world.clock.advance(60_000);
    const timeMs = world.clock.wallMs();
    for (const id of ['c', 'd']) await world.send(id);
    const first = await world.poll();
    for (const { receipt } of first) await world.ack(receipt);
    expect(await reset(world, { at: 'first' })).toEqual([{ queueId: 0, before: 4, after: 0 }]);
    expect(ids(await world.poll())).toEqual(['a', 'b', 'c', 'd']);
    await reset(world, { at: 'end' });
    expect(await world.poll()).toEqual([]);
    await reset(world, { at: 'offset', offset: 3 });
    expect(ids(await world.poll())).toEqual(['d']);
    expect(await reset(world, { at: 'time', timeMs })).toEqual([{ queueId: 0, before: 3, after: 2 }]);
    expect(ids(await world.poll())).toEqual(['c', 'd']);
    expect(await reset(world, { at: 'offset', offset: 99 })).toMatchObject([{ after: 4 }]);
    await world.broker.stop();
  });

  it('is left alone where its topic is deleted while the offset is looked up', async () => {
    const world = await new BrokerWorld().start();
    for (let i = 0; i < 20; i += 1) await world.send(`m${i}`);
    const asked = reset(world, { at: 'time', timeMs: world.clock.wallMs() });
    const deleted = world.nameService.deleteTopic('orders');
    await expect(asked).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    await deleted;
    expect(world.broker.groups.progressOf(world.group.id)).toEqual([]);
    await world.broker.stop();
  });

  it('is set in all queues or in none, as the log takes it', async () => {
    const world = await new BrokerWorld().start();
    world.storeLimits = { ...world.storeLimits, pendingBytesMax: 1_024 };
    await world.restart();
    const all = { queueId: undefined, move: { id: 'm', who: 'ada', undoes: '' } };
    world.topic = await world.nameService.createTopic({ name: 'wide', readQueues: 64, writeQueues: 64 });
    const waiting = world.send('waits');
    await expect(reset(world, { at: 'first' }, all)).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    await waiting;
    expect(world.broker.groups.progressOf(world.group.id)).toEqual([]);
    expect(await reset(world, { at: 'first' }, all)).toHaveLength(64);
    expect(world.broker.groups.progressOf(world.group.id)).toHaveLength(64);
    await world.broker.stop();
  });

  it('wakes those who wait, and takes no acknowledgement from before', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    const [old] = await world.poll();
    const waiting = world.poll({ waitMs: 20_000 });
    await reset(world, { at: 'first' });
    const [again] = await waiting;
    expect(again?.receipt.attempt).toBe(1);
    await expect(world.ack(old!.receipt)).rejects.toMatchObject({ code: 'INVALID_RECEIPT_HANDLE' });
    await world.restart();
    world.clock.advance(10_001);
    expect(ids(await world.poll())).toEqual(['a']);
    await world.broker.stop();
  });

  it('takes over where another group has got to, in the queues that one has consumed', async () => {
    const world = await new BrokerWorld().start();
    for (const id of ['a', 'b', 'c']) await world.send(id);
    const [first] = await world.poll({ messagesMax: 1 });
    await world.ack(first!.receipt);
    const copy = await world.nameService.createGroup({ name: 'copy' });
    const target = { groupId: copy.id, queueId: undefined };
    const resets = await reset(world, { at: 'group', groupId: world.group.id }, target);
    expect(resets[0]).toEqual({ queueId: 0, before: undefined, after: 1 });
    expect(ids(await world.poll({ groupId: copy.id }))).toEqual(['b', 'c']);
    await world.broker.stop();
  });

  it('is refused where there is no such queue', async () => {
    const world = await new BrokerWorld().start();
    const wrong = reset(world, { at: 'first' }, { queueId: queueId(99) });
    await expect(wrong).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await world.broker.stop();
  });
});

describe('a paused group', () => {
  it('is handed nothing until its time has come, and no attempt is counted', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    await world.poll(); // Attempt 1; its lease runs out in the pause.
    await world.nameService.updateGroup('readers', { pausedUntilMs: world.clock.wallMs() + 600_000 });
    expect(await world.poll()).toEqual([]);
    const waiting = world.poll({ waitMs: 3_600_000 });
    await world.send('b');
    world.clock.advance(599_000);
    expect(world.broker.waitingPolls).toBe(1);
    world.clock.advance(1_001);
    expect((await waiting).map(({ receipt }) => receipt.attempt)).toEqual([2, 1]);
    await world.broker.stop();
  });

  it('goes on at once when it is resumed, and its members may finish what they have', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    const [held] = await world.poll();
    await world.nameService.updateGroup('readers', { pausedUntilMs: Number.MAX_SAFE_INTEGER });
    await world.ack(held!.receipt);
    await world.send('b');
    const waiting = world.poll({ waitMs: 20_000 });
    expect(world.broker.waitingPolls).toBe(1);
    await world.nameService.updateGroup('readers', { pausedUntilMs: 0 });
    expect(ids(await waiting)).toEqual(['b']);
    await world.broker.stop();
  });
});

describe('what operators ask clients', () => {
  it('goes to the proxy that holds the stream, and comes back', async () => {
    const world = await new BrokerWorld().start();
    await world.send('m1');
    const admin = new BrokerReports(world.broker, world.directory, 'broker-0', 'test');
    const told: ClientCommand[] = [];
    world.broker.onCommand('p1', (command) => {
      told.push(command);
      if (!('nonce' in command) || command.kind === 'reconnect') return;
      world.broker.commandAnswered({ nonce: command.nonce, code: 20_000, message: 'OK', text: 'stacks' });
    });
    await expect(admin.askClient('broker-0', { kind: 'printStack', clientId: 'c1' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const traits = { ...someTraits, streaming: true };
    const session = { ...traits, clientId: 'c1', groupId: world.group.id, subscriptions: [] };
    world.broker.reportSessions({ proxyId: 'p1', sessions: [session], producers: [] });
    expect(await admin.askClient('broker-0', { kind: 'printStack', clientId: 'c1' })).toMatchObject({ text: 'stacks' });
    await admin.askClient('broker-0', { kind: 'reconnect', clientId: 'c1' });
    const trial = { kind: 'verify', clientId: 'c1', groupId: world.group.id, topicId: world.topic.id } as const;
    expect(await admin.askClient('broker-0', { ...trial, messageId: 'm1' })).toMatchObject({ code: 20_000 });
    expect(told.map(({ kind }) => kind)).toEqual(['printStack', 'reconnect', 'verify']);
    const [, , verify] = told;
    expect(verify?.kind === 'verify' && ids([verify.message])).toEqual(['m1']);
    await expect(admin.askClient('broker-0', { ...trial, messageId: 'm2' })).rejects.toMatchObject({
      code: 'MESSAGE_NOT_FOUND',
    });
    expect(ids(await world.poll())).toEqual(['m1']); // A trial takes nothing away.
    await world.broker.stop();
  });

  it('ends after 5 s without an answer', async () => {
    const world = await new BrokerWorld().start();
    world.broker.onCommand('p1', () => undefined);
    const session = { ...someTraits, streaming: true, clientId: 'c1', groupId: world.group.id, subscriptions: [] };
    world.broker.reportSessions({ proxyId: 'p1', sessions: [session], producers: [] });
    const asked = expect(world.broker.questions.ask({ kind: 'printStack', clientId: 'c1' })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    world.clock.advance(5_001);
    await asked;
    await settle<void>((done) => world.broker.clientGone({ clientId: 'c1', groupId: world.group.id }, done));
    await world.broker.stop();
  });
});
