import { MessageType, type Topic } from '@cometmq/model';

import { SetWorld, type SetMemberWorld } from './member/set-world.js';

const count = 300;

interface Kept {
  /** Timers that memory holds, fired or not. */
  readonly inMemory: number;
  readonly coldPieces: number;
}

function keptBy({ broker: { delayed } }: SetMemberWorld): Kept {
  let inMemory = delayed.nearSize;
  let coldPieces = 0;
  for (const { tail, keys } of delayed.farBuckets(0, Infinity)) {
    inMemory += tail.length;
    coldPieces += keys.length;
  }
  return { inMemory, coldPieces };
}

const nothing: Kept = { inMemory: 0, coldPieces: 0 };

// Goal: a member that does not lead keeps delayed messages as long as they wait, and no longer. Method: some hundred come due,
// more than a bucket keeps in memory, over checkpoints; and what each member has of them then.
describe('delayed messages, on members that follow', () => {
  let world: SetWorld;
  let topic: Topic;

  beforeEach(async () => {
    world = await new SetWorld(3).start();
    topic = await world.nameService.createTopic({ name: 'later', type: MessageType.delay });
  });
  afterEach(() => world.stop());

  const send = async (from: number, inMs: number): Promise<void> => {
    for (let i = from; i < from + count; i += 1)
      await world.send(`m${i}`, { type: MessageType.delay, dueMs: world.clock.wallMs() + inMs }, topic);
  };
  const checkpoints = async (): Promise<void> => {
    await world.during(Promise.all(world.members.map(({ broker }) => broker.store.checkpoint())));
  };

  it.each([
    { what: 'in memory alone', between: async () => undefined },
    { what: 'in cold pieces', between: checkpoints },
  ])('are gone with their delivery: $what', async ({ between }) => {
    await send(0, 90_000);
    await between();
    await world.leap(100_000);
    await checkpoints();
    for (const member of world.members) expect(keptBy(member)).toEqual(nothing);
    expect(await world.drain({ topicId: topic.id })).toHaveLength(count);
  });

  it.each([
    { what: 'an hour behind', skewMs: -3_600_000 },
    { what: 'a day ahead', skewMs: 86_400_000 },
  ])('are kept as the leader keeps them, by whatever clock: $what', async ({ skewMs }) => {
    for (const follower of world.followers) follower.wallSkewMs = skewMs;
    await world.leap(10_000);
    await send(0, 90_000);
    await send(count, 7_200_000);
    await checkpoints();
    await world.leap(100_000);
    await checkpoints();
    const wanted = keptBy(world.leader);
    for (const follower of world.followers) {
      expect(follower.broker.delayed.nearSize).toBe(0);
      expect(keptBy(follower)).toEqual(wanted);
    }
    expect(await world.drain({ topicId: topic.id })).toHaveLength(count);
  });

  it('are near before they are due, for whoever leads next', async () => {
    await send(0, 90_000);
    await checkpoints();
    await world.leap(45_000);
    for (const { broker } of world.followers) expect(broker.delayed.nearSize).toBe(count);
    world.leader.kill();
    await world.until(() => world.leaders.length > 0, 'another one leads');
    await world.leap(60_000);
    expect(await world.drain({ topicId: topic.id })).toHaveLength(count);
  });
});
