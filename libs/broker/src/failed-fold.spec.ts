// Goal: a view that can't fold a record which is in the log ends the broker: nobody is answered, nothing is decided or
// checkpointed any more, and the next start has what the log says. Method: one fold is made to fail, each way in is tried.
import { AssertionError } from 'node:assert';

import type { Done } from '@cometmq/client';
import { MessageType, queueId, queueOffset, type Receipt } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

import { BrokerWorld, ids, settle } from './broker-world.js';

const planted = 'planted: this fold fails';

class FailingWorld extends BrokerWorld {
  readonly fatal: MqError[] = [];
  override onFatal = (error: MqError): void => void this.fatal.push(error);

  /** From now on no view folds anything. */
  plant(): void {
    const { groups, pullOffsets, liteTopics, delayed, halfMessages } = this.broker;
    const fail = (): never => {
      throw new TypeError(planted);
    };
    for (const view of [groups, pullOffsets, liteTopics, delayed, halfMessages, this.broker.views.dedupWindow]) {
      view.fold = fail;
      if ('foldAppended' in view) view.foldAppended = fail;
    }
  }
}

type Way = (world: FailingWorld, held: Receipt, done: Done<unknown>) => unknown;

const ways: Readonly<Record<string, Way>> = {
  'a receive': (world, _, done) => world.pollWith({ clientId: 'c2' }, done),
  'a change of the invisible time': ({ broker }, receipt, done) =>
    broker.changeInvisible({ receipt, invisibleMs: 1_000 }, done),
  'a message given back': ({ broker }, receipt, done) => broker.handBack({ receipts: [receipt] }, done),
  'a client that goes': ({ broker, group }, _, done) => broker.clientGone({ clientId: 'c1', groupId: group.id }, done),
  'an offset of a pull consumer': ({ broker, topic, group }, _, done) =>
    broker.offsets(
      {
        topicId: topic.id,
        queueId: queueId(0),
        ask: { kind: 'setForGroup', groupId: group.id, offset: queueOffset(1) },
      },
      done,
    ),
};

describe('a fold that fails ends the broker, which does not answer', () => {
  it.each(Object.keys(ways))('%s', async (name) => {
    const world = await new FailingWorld().start();
    await world.send('a');
    const [held] = await world.poll();
    await world.send('b');
    world.plant();
    const answers: unknown[] = [];
    const act = (): unknown => ways[name]?.(world, held!.receipt, (...answer) => answers.push(answer));
    expect(act).toThrow(AssertionError);
    await dies(world);
    expect(answers).toEqual([]);
    await world.crash();
    world.clock.advance(20_000);
    expect(ids(await world.poll()).sort()).toEqual(['a', 'b']);
    await world.broker.stop();
  });

  it.each([
    ['a message', MessageType.normal, {}],
    ['a delayed message', MessageType.delay, { dueMs: 1_700_000_100_000 }],
    ['half of a transaction', MessageType.transaction, {}],
  ] as const)('%s that is sent', async (_name, type, draft) => {
    const world = await new FailingWorld().start();
    world.topic = await world.nameService.createTopic({ name: 'more', type });
    world.plant();
    // Of those with a group each is folded; `sendAny` rejects with whatever the broker throws or answers.
    await expect(world.sendAny('a', { group: Buffer.from('g'), ...draft })).rejects.toThrow(AssertionError);
    await dies(world);
    await world.crash();
    await world.broker.stop();
  });

  it('the end of a transaction', async () => {
    const world = await new FailingWorld().start();
    world.topic = await world.nameService.createTopic({ name: 'deals', type: MessageType.transaction });
    const { pending } = await world.sendAny('a', {});
    world.plant();
    const ended = settle((done) =>
      world.broker.endTransaction({ place: pending!, resolution: 'commit', checked: false }, done),
    );
    await expect(ended).rejects.toThrow(AssertionError);
    await dies(world);
    await world.crash();
    expect(ids(await world.poll())).toEqual(['a']); // The decision was in the log already.
    await world.broker.stop();
  });
});

/** The process is told why, once; nothing is decided any more, and no checkpoint says that all is folded. */
async function dies(world: FailingWorld): Promise<void> {
  expect(world.fatal.map(({ reason }) => reason)).toEqual([expect.stringContaining(planted)]);
  expect(world.broker.unready()).toContain(planted);
  await expect(world.send('late')).rejects.toMatchObject({ code: 'NOT_LEADER' });
  const { checkpointPosition } = world.broker.store.sizes;
  await world.broker.stop();
  expect(world.broker.store.sizes.checkpointPosition).toBe(checkpointPosition);
}
