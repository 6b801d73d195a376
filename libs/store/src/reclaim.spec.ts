/** What is over by the records is given back by every member, and by nobody's clock or limits. */
import type { Epoch, QueueId, TopicId } from '@cometmq/model';

import { faultyDisk } from './disk/faulty-disk.js';
import { MemoryDisk } from './disk/memory-disk.js';
import { committed, idsOf, openStore, refer, send } from './store-harness.js';
import type { OpenedStore } from './store-harness.js';

const topic = 1;
const hour = 3_600_000;
const policy = (): { ms: number } => ({ ms: hour });

async function leading(given: Parameters<typeof openStore>[0] = {}): Promise<OpenedStore> {
  const opened = await openStore({ ...given, follows: true });
  const { replication } = opened.store;
  await replication.lead();
  replication.commitsWhenDurable = true;
  await opened.store.beginEpoch(1 as Epoch, 0);
  return opened;
}

/** Some segments of messages, all committed where the store commits alone. */
function fill(opened: OpenedStore, messages: number, timestampMs: number): void {
  for (let i = 0; i < messages; i += 1)
    send(opened.store, { topic, queue: 0, id: `m${i}`, timestampMs, bodyBytes: 900 });
}

async function copyAll(from: OpenedStore, to: OpenedStore): Promise<void> {
  const { store } = to;
  if (store.salt === undefined) await store.takeSalt(from.store.salt ?? 0);
  while (store.appendEnd < from.store.appendEnd) {
    const bytes = await from.store.replication.readBytes(store.appendEnd, 4096);
    store.replication.append(bytes ?? new Uint8Array(0));
  }
  await new Promise<void>((resolve, reject) => store.replication.whenDurable(store.appendEnd, resolve, reject));
  store.replication.advanceCommit(store.appendEnd);
  await until(() => store.foldedEnd === store.appendEnd);
}

async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns += 1) {
    if (turns > 10_000) throw new Error('what was waited for does not come');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('what is over', () => {
  it('is given back by a follower when it folds the record that says so, and not before', async () => {
    const leader = await leading();
    const follower = await openStore({ follows: true });
    fill(leader, 20, 1000);
    await committed(leader.store);
    await copyAll(leader, follower);
    const { segments } = follower.store.sizes;
    expect(segments).toBeGreaterThan(4);

    follower.clock.advance(1000 * hour); // However late it is there.
    await follower.store.checkpoint();
    await follower.store.retention.reclaim();
    expect([follower.store.sizes.segments, follower.store.sizes.messages]).toEqual([segments, 20]);

    await leader.store.retention.run(1000 + 2 * hour, policy);
    expect(leader.store.sizes.messages).toBe(0);
    await copyAll(leader, follower);
    await until(() => follower.store.sizes.segments === leader.store.sizes.segments);
    expect(follower.store.sizes.segments).toBeLessThan(3);
    expect(follower.store.bounds(topic as TopicId, 0 as QueueId)).toEqual(
      leader.store.bounds(topic as TopicId, 0 as QueueId),
    );
    expect([follower.failures, follower.troubles]).toEqual([[], []]);
    await leader.store.stop();
    await follower.store.stop();
  });

  it('stays over when a follower starts again and knows of no commit yet', async () => {
    const leader = await leading();
    const disk = new MemoryDisk();
    const follower = await openStore({ disk, follows: true, checkpoints: 'on the disk' });
    fill(leader, 20, 1000);
    send(leader.store, { topic: 2, queue: 0, id: 'stays', timestampMs: 1000 });
    await committed(leader.store);
    await copyAll(leader, follower);
    await follower.store.checkpoint();
    await leader.store.retention.run(1000 + 2 * hour, (id) => ((id as number) === topic ? { ms: hour } : undefined));
    await copyAll(leader, follower);
    await until(() => follower.store.sizes.segments < 4);
    await follower.store.idle();
    const again = await openStore({ disk: disk.kill(), follows: true, checkpoints: 'on the disk' });
    expect(await idsOf(again.store, topic, 0)).toEqual([]);
    expect(await idsOf(again.store, 2, 0)).toEqual(['stays']);
    expect(again.troubles).toEqual([]);
    await leader.store.stop();
    await again.store.stop();
  });

  it('is not waited for by a leader that stops while nothing is committed any more', async () => {
    const { store, clock } = await leading();
    fill({ store } as OpenedStore, 12, 1000);
    await committed(store);
    store.replication.commitsWhenDurable = false;
    store.deleteTopic(topic as TopicId, 2000);
    const round = store.retention.run(2000, policy).then(
      () => 'over',
      (caught: { code?: string }) => caught.code,
    );
    for (let turns = 0; turns < 20; turns += 1) await new Promise((done) => setImmediate(done));
    clock.advance(1);
    await store.stop();
    expect(await round).toBe('UNAVAILABLE');
  });

  it('is not brought back by a reference, though its file may still be here', async () => {
    const { store } = await leading();
    const { position, size, offset } = send(store, { topic, queue: 0, id: 'm', timestampMs: 1000 });
    const entry = { topicId: topic as TopicId, queueId: 0 as QueueId, offset };
    await committed(store);
    refer(store, { topic: 2, queue: 0, timestampMs: 1000 }, { position, size, topic }, undefined, entry);
    await store.retention.run(1000 + 2 * hour, (id) => ((id as number) === topic ? { ms: hour } : undefined));
    expect(() =>
      refer(store, { topic: 3, queue: 0, timestampMs: 1000 }, { position, size, topic }, undefined, entry),
    ).toThrow(/MESSAGE_NOT_FOUND.*expired/);
    // It lives through the first reference, and can be referred to through that.
    const through = { topicId: 2 as TopicId, queueId: 0 as QueueId, offset: 0 as typeof offset };
    refer(store, { topic: 3, queue: 0, timestampMs: 1000 }, { position, size, topic }, undefined, through);
    await committed(store);
    expect(await idsOf(store, 3, 0)).toEqual(['m']);
    await store.stop();
  });

  // Goal: what a deposed leader concluded from records that are gone moves no file. Method: a round that found
  // everything over by a record that is not committed is held up at each of its reads of an index, until the leader has
  // been deposed.
  it('by a record that was cut off is not over, at whatever moment that happens', async () => {
    let heldUp = 0;
    for (let nth = 1; nth <= 40; nth += 1) {
      let reads = Infinity;
      let release: (() => void) | undefined;
      const disk = faultyDisk(new MemoryDisk(), (operation, path) => {
        if (operation !== 'read' || !path.endsWith('.index') || (reads -= 1) !== 0) return undefined;
        heldUp += 1;
        return new Promise((resolve) => (release = () => resolve(undefined)));
      });
      const { store } = await leading({ disk, limits: { indexCacheBytes: 0 } });
      const target = send(store, { topic: 2, queue: 0, id: 'm', timestampMs: 1000 });
      for (let i = 0; i < 12; i += 1) {
        send(store, { topic, queue: 0, id: `m${i}`, timestampMs: 1000, bodyBytes: 900 });
        refer(store, { topic, queue: 0, timestampMs: 1000 }, { ...target, topic: 2 });
      }
      await committed(store);
      await store.checkpoint();
      await store.idle();
      const { segments } = store.sizes;
      const end = store.commitEnd;
      store.replication.commitsWhenDurable = false;
      store.deleteTopic(topic as TopicId, 2000);
      reads = nth;
      let over = false;
      const round = store.retention
        .reclaim()
        .catch(() => undefined)
        .finally(() => (over = true));
      const waits = new Promise<void>((resolve, reject) =>
        store.replication.whenDurable(store.appendEnd, resolve, reject),
      );
      await waits;
      for (let turns = 0; turns < 50 && !release && !over; turns += 1) await new Promise((done) => setImmediate(done));
      reads = Infinity;
      await store.replication.stepDown(end);
      release?.();
      await round;
      expect([nth, store.sizes.segments, store.sizes.messages]).toEqual([nth, segments, 25]);
      expect(await idsOf(store, topic, 0)).toHaveLength(24);
      await store.stop();
    }
    expect(heldUp).toBeGreaterThan(10);
  });
});
