// Goal: a deletion can be taken back until its grace is over, and until then no broker hears that anything is to be deleted;
// afterwards it is recorded once, whichever instance is first. Method: instances over one store, time in our hands.
import { Directory, type DirectoryUpdate } from '@cometmq/client';
import { MemoryStore, type KeyValue, type MetadataStore } from '@cometmq/metadata';
import { FaultyStore } from '@cometmq/metadata/testing';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService } from './namesrv-service.js';

const graceMs = 60_000;
let clock: ManualClock;
let store: MemoryStore;
const running: NamesrvService[] = [];

async function instance(deletionGraceMs = graceMs, way: MetadataStore = store) {
  const service = new NamesrvService({
    store: way,
    clock,
    autoCreateTopics: false,
    autoCreateGroups: false,
    deletionGraceMs,
  });
  running.push(service);
  await service.start();
  const heard: string[] = [];
  const directory = new Directory(service, clock);
  await directory.start();
  service.watch((update: DirectoryUpdate) => {
    if (update.kind === 'topicDeleted') heard.push(`topic ${update.topic.name} ${update.recorded}`);
    if (update.kind === 'groupDeleted') heard.push(`group ${update.group.name} ${update.recorded}`);
  });
  return { service, heard, directory };
}

/** Time passes, and everybody looks whose grace is over. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10_000) {
    clock.advance(Math.min(left, 10_000));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

beforeEach(async () => {
  clock = new ManualClock();
  store = new MemoryStore(clock);
  await store.start();
});
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
});

it('a topic is away at once, and back as it was when its deletion is taken back', async () => {
  const { service, heard, directory } = await instance();
  const made = await service.createTopic({ name: 'orders', writeQueues: 3, readQueues: 3 });
  await service.deleteTopic('orders', { who: 'ada' });
  expect(directory.topic('orders')).toBeUndefined();
  expect(heard).toEqual(['topic orders false']);
  const deletedMs = clock.wallMs();
  expect(await service.retired()).toEqual({
    graceMs,
    retired: [{ kind: 'topic', name: 'orders', id: made.id, who: 'ada', deletedMs, goneMs: deletedMs + graceMs }],
  });
  await pass(graceMs - 1_000);
  await service.restore('topic', made.id);
  expect(directory.topic('orders')).toEqual({ ...made, layout: made.layout + 1 });
  expect((await service.retired()).retired).toEqual([]);
  await pass(4 * graceMs);
  expect(heard).toEqual(['topic orders false']);
  expect(directory.deleted.topics).toEqual([]);
});

it('when the grace is over the deletion is recorded, and can not be taken back', async () => {
  const { service, heard, directory } = await instance();
  const { id } = await service.createTopic({ name: 'orders' });
  const group = await service.createGroup({ name: 'billing' });
  await service.deleteTopic('orders');
  await service.deleteGroup('billing');
  await pass(4 * graceMs);
  expect(heard).toEqual(['topic orders false', 'group billing false', 'topic orders true', 'group billing true']);
  expect(directory.deleted.topics.map((one) => one.id)).toEqual([id]);
  expect(directory.deleted.groups.map((one) => one.id)).toEqual([group.id]);
  await expect(service.restore('topic', id)).rejects.toThrow('NOT_FOUND');
});

it('another of the same name may be made meanwhile, and lives on when the grace of the first is over', async () => {
  const { service, directory } = await instance();
  const { id } = await service.createTopic({ name: 'orders' });
  await service.deleteTopic('orders');
  const other = await service.createTopic({ name: 'orders' });
  expect(other.id).not.toBe(id);
  await expect(service.restore('topic', id)).rejects.toThrow('ALREADY_EXISTS');
  await pass(4 * graceMs);
  expect(directory.topic('orders')?.id).toBe(other.id);
});

it('is for good at once where it is asked for, or where no grace is granted', async () => {
  const { service, heard } = await instance();
  await service.createTopic({ name: 'orders' });
  await service.deleteTopic('orders', { now: true });
  expect(heard).toEqual(['topic orders true']);
  const none = await instance(0);
  await none.service.createTopic({ name: 'other' });
  await none.service.deleteTopic('other');
  expect(none.heard).toEqual(['topic other true']);
  expect((await service.retired()).retired).toEqual([]);
});

it('counts from the last deletion, also for an instance that has not heard of it', async () => {
  const line = new FaultyStore(store);
  const { service } = await instance();
  await instance(graceMs, line);
  const { id } = await service.createTopic({ name: 'orders' });
  await service.deleteTopic('orders');
  await pass(10_000);
  line.stopHearing();
  await pass(graceMs - 20_000);
  await service.restore('topic', id);
  await service.deleteTopic('orders');
  await pass(50_000);
  expect((await service.retired()).retired.map((one) => one.id)).toEqual([id]);
  await service.restore('topic', id);
});

it('outlives an instance, and is ended by one of several', async () => {
  const first = await instance();
  const { id } = await first.service.createTopic({ name: 'orders' });
  await first.service.deleteTopic('orders');
  await first.service.stop();
  const [second, third] = [await instance(), await instance()];
  expect((await third.service.retired()).retired.map((one) => one.id)).toEqual([id]);
  await pass(4 * graceMs);
  for (const { heard, directory } of [second, third]) {
    expect(heard).toEqual(['topic orders true']);
    expect(directory.deleted.topics.map((one) => one.id)).toEqual([id]);
  }
});

it.each([
  ['ahead', 30 * 24 * 3_600_000],
  ['behind', -30 * 24 * 3_600_000],
])('lasts as long as it should where a clock is a month %s', async (_, jumpMs) => {
  const { service, heard } = await instance();
  await instance();
  await service.createTopic({ name: 'orders' });
  await service.deleteTopic('orders');
  clock.jumpWall(jumpMs);
  await pass(graceMs - 10_000);
  expect(heard).toEqual(['topic orders false']);
  await pass(4 * graceMs);
  expect(heard).toEqual(['topic orders false', 'topic orders true']);
});

it('does not pass while nobody serves, nor faster with several instances', async () => {
  const first = await instance();
  const { id } = await first.service.createTopic({ name: 'orders' });
  await first.service.deleteTopic('orders');
  await first.service.stop();
  clock.advance(10 * graceMs);
  const many = [await instance(), await instance(), await instance()];
  await pass(graceMs - 10_000);
  for (const { service } of many) expect((await service.retired()).retired.map((one) => one.id)).toEqual([id]);
  await pass(4 * graceMs);
  for (const { heard } of many) expect(heard).toEqual(['topic orders true']);
});

it('is whole where an older release has written the deletion', async () => {
  const { service, heard } = await instance();
  await service.createTopic({ name: 'orders' });
  await service.deleteTopic('orders');
  const [{ key, value, modRevision }] = (await store.range('retired/')).pairs as [KeyValue];
  const { goneServedMs, ...older } = JSON.parse(value) as Record<string, unknown>;
  expect(goneServedMs).toBeGreaterThan(graceMs);
  await store.commit({ compare: [{ key, modRevision }], puts: [{ key, value: JSON.stringify(older) }] });
  await pass(graceMs - 10_000);
  expect(heard).toEqual(['topic orders false']);
  await pass(4 * graceMs);
  expect(heard).toEqual(['topic orders false', 'topic orders true']);
});

it('holds for any number of deletions at a time', async () => {
  const { service, heard } = await instance();
  const names = Array.from({ length: 200 }, (_, i) => `orders-${i}`);
  for (const name of names) await service.createTopic({ name });
  await Promise.all(names.map((name) => service.deleteTopic(name)));
  expect((await service.retired()).retired).toHaveLength(names.length);
  await pass(4 * graceMs);
  expect(heard).toHaveLength(2 * names.length);
});
