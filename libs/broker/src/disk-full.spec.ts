import { KiB } from '@cometmq/model';

import { BrokerWorld } from './broker-world.js';

/** Messages that are due when the disk is full. */
const due = 60;

/** A broker on a small disk, with what is due to expire, and a disk that new messages have filled. */
async function filled(): Promise<{ world: BrokerWorld; sent: number }> {
  const world = new BrokerWorld();
  await world.start();
  world.storeLimits = { ...world.storeLimits, segmentBytes: 64 * KiB, recordBytesMax: 16 * KiB };
  await world.restart();
  world.topic = await world.nameService.createTopic({ name: 'short', retentionMs: 90_000 });
  const send = (i: number): Promise<number> => world.sendAs(`m${i}`, {}, world.topic, 0, Buffer.alloc(4 * KiB, 'x'));
  for (let i = 0; i < due; i += 1) await send(i);
  await world.broker.store.idle();
  world.disk.capacityBytes = world.disk.usedBytes() + 300 * KiB;
  world.clock.advance(100_000); // The retention timer ran at sixty seconds, and will at a hundred and twenty.
  let sent = due;
  for (; sent < 400; sent += 1) {
    const refused = await send(sent).then(
      () => false,
      () => true,
    );
    if (refused) break;
  }
  return { world, sent };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

// Goal: a full disk is emptied of what is due at once, not when a timer comes round. Method: fill it and wait two seconds
// of broker time, in which it looks for space, where the timer takes sixty.
it('expires what is due as soon as the disk is full', async () => {
  const { world, sent } = await filled();
  expect(sent).toBeLessThan(400);
  await turns(200);
  for (let second = 0; second < 2; second += 1) {
    world.clock.advance(1_000);
    await turns(100);
  }
  expect(world.broker.store.diskFull).toBe(false);
  await world.send('after');
  expect(world.broker.store.bounds(world.topic.id, 0 as never).first).toBe(due);
  await world.broker.stop();
});
