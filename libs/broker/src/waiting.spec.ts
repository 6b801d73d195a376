/** Receives that wait: in turn through the queues, and never for what is no more. */
import type { PullResult } from '@cometmq/client';
import { queueId as toQueueId, queueOffset, RecordKind, type GroupId } from '@cometmq/model';

import { BrokerWorld, ids, settle } from './broker-world.js';

let world: BrokerWorld;
beforeEach(async () => {
  world = await new BrokerWorld().start();
});
afterEach(() => world.broker.stop());

const hour = 3_600_000;

describe('queues under a lasting backlog', () => {
  async function backlog(queues: number, each: number): Promise<void> {
    world.topic = await world.nameService.updateTopic('orders', { readQueues: queues, writeQueues: queues });
    for (let queue = 0; queue < queues; queue += 1) {
      for (let i = 0; i < each; i += 1) await world.sendAny(`${queue}-${i}`, {}, world.topic, queue);
    }
  }

  it.each([0, 5, -1])('are served in turn, whatever queue the client names (%i)', async (queueId) => {
    await backlog(8, 12);
    const taken = new Array<number>(8).fill(0);
    for (let polls = 0; polls < 16; polls += 1) {
      for (const { receipt } of await world.poll({ queueId, messagesMax: 4 })) {
        taken[receipt.queueId] = (taken[receipt.queueId] ?? 0) + 1;
        await world.ack(receipt);
      }
    }
    expect(taken).toEqual(new Array(8).fill(8));
  });

  it('are so for each of several groups that poll in turn', async () => {
    await backlog(4, 12);
    const other = await world.nameService.createGroup({ name: 'others' });
    const seen = new Map<number, Set<number>>();
    for (let polls = 0; polls < 8; polls += 1) {
      for (const { id } of [world.group, other]) {
        const found = await world.poll({ groupId: id, messagesMax: 2 });
        const queues = seen.get(id) ?? new Set<number>();
        for (const { receipt } of found) queues.add(receipt.queueId);
        seen.set(id, queues);
      }
    }
    expect([...seen.values()].map(({ size }) => size)).toEqual([4, 4]);
  });
});

describe('a receive that waits', () => {
  const wait = () => world.poll({ waitMs: hour });

  it('is answered at once when its topic is deleted, and the same name made again is another topic', async () => {
    const waiting = wait();
    expect(world.broker.waitingPolls).toBe(1);
    await world.nameService.deleteTopic('orders');
    await expect(waiting).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    expect(world.broker.waitingPolls).toBe(0);
    world.topic = await world.nameService.createTopic({ name: 'orders' });
    const again = wait();
    await world.send('a');
    expect(ids(await again)).toEqual(['a']);
  });

  it('is answered at once when its group is deleted', async () => {
    const waiting = wait();
    await world.nameService.deleteGroup('readers');
    await expect(waiting).rejects.toMatchObject({ code: 'CONSUMER_GROUP_NOT_FOUND' });
  });

  it('is answered at once when its topic is closed to readers, and waits on when something else changes', async () => {
    const waiting = wait();
    await world.nameService.updateTopic('orders', { retentionMs: hour });
    await world.nameService.updateGroup('readers', { attemptsMax: 3 });
    expect(world.broker.waitingPolls).toBe(1);
    await world.nameService.updateTopic('orders', { permission: 'write' });
    await expect(waiting).rejects.toMatchObject({ code: 'FORBIDDEN' });
    world.topic = await world.nameService.updateTopic('orders', { permission: 'readWrite' });
    const again = wait();
    await world.send('a');
    expect(ids(await again)).toEqual(['a']);
  });

  it('gets what lies in a queue that was added meanwhile', async () => {
    const waiting = wait();
    const { readQueues } = world.topic;
    world.topic = world.nameService.putTopic('orders', { writeQueues: readQueues + 1 });
    await world.sendAny('new', {}, world.topic, readQueues);
    expect(world.broker.waitingPolls).toBe(1);
    await world.nameService.updateTopic('orders', { readQueues: readQueues + 1 });
    expect(ids(await waiting)).toEqual(['new']);
  });

  describe('by offset', () => {
    async function pull(groupId = world.group.id, waitMs = hour): Promise<{ readonly answer: Promise<PullResult> }> {
      const answer = settle<PullResult>((done) =>
        world.broker.pull(
          {
            topicId: world.topic.id,
            groupId,
            queueId: toQueueId(0),
            offset: queueOffset(0),
            clientId: 'c1',
            messagesMax: 1,
            bytesMax: 1000,
            filter: { type: 'tag', expression: '*' },
            waitMs,
          },
          done,
        ),
      );
      answer.catch(() => undefined);
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      return { answer };
    }

    it.each([
      ['its topic is deleted', 'TOPIC_NOT_FOUND', () => world.nameService.deleteTopic('orders')],
      ['its group is deleted', 'CONSUMER_GROUP_NOT_FOUND', () => world.nameService.deleteGroup('readers')],
      [
        'its topic is closed to readers',
        'FORBIDDEN',
        () => world.nameService.updateTopic('orders', { permission: 'write' }),
      ],
    ])('is answered at once when %s', async (_, code, act) => {
      const { answer } = await pull();
      await act();
      await expect(answer).rejects.toMatchObject({ code });
    });

    it('waits on when something else changes', async () => {
      const { answer } = await pull();
      await world.nameService.updateTopic('orders', { retentionMs: hour });
      await world.nameService.updateGroup('readers', { attemptsMax: 3 });
      await world.nameService.createGroup({ name: 'others' });
      await world.send('a');
      expect((await answer).messages).toHaveLength(1);
    });

    it.each([hour, 0])(
      'waits for a group of which this broker hears a moment later, and may itself wait %i ms',
      async (waitMs) => {
        await world.send('a');
        const id = (world.group.id + 2) as GroupId; // Ids are numbers of changes here.
        const { answer } = await pull(id, waitMs);
        await world.nameService.updateTopic('orders', { retentionMs: hour });
        expect(await world.nameService.createGroup({ name: 'others' })).toMatchObject({ id });
        expect((await answer).messages).toHaveLength(1);
      },
    );

    it('is told that its group is gone where nobody hears of one', async () => {
      const { answer } = await pull((world.group.id + 1) as GroupId);
      world.clock.advance(2_000);
      await expect(answer).rejects.toMatchObject({ code: 'CONSUMER_GROUP_NOT_FOUND' });
    });
  });

  it('gets what the log did not take at first, in a moment', async () => {
    const waiting = wait();
    world.refuseNext(RecordKind.delivery);
    await world.send('a');
    for (let i = 0; i < 20 && world.broker.waitingPolls > 0; i += 1) {
      world.clock.advance(50);
      await new Promise(setImmediate);
    }
    expect(world.broker.waitingPolls).toBe(0);
    expect(ids(await waiting)).toEqual(['a']);
  });
});
