/**
 * Damage of sealed segments. Goal: it costs the messages it hit and no others, is told once, and nothing loops. Method: a
 * store of many small segments, stopped; some of a sealed segment is taken away; started again, every queue is read as a
 * consumer reads it.
 */
import { Envelope, RecordKind } from '@cometmq/model';
import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { MemoryDisk } from './disk/memory-disk.js';
import type { LogRecord } from './log/record.js';
import { segmentName } from './log/segment.js';
import type { MessageStore } from './message-store.js';
import { committed, flipByte, idOf, openStore, send } from './store-harness.js';
import type { Damage } from './log/segments.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';

const topic = 1 as TopicId;
const queues = [0, 1, 2] as QueueId[];
const count = 240;

interface Written {
  readonly disk: MemoryDisk;
  readonly checkpoints: MemoryCheckpointStore;
  /** By queue: the ids and positions of its messages. */
  readonly sent: { id: string; position: number; size: number }[][];
  readonly sealed: { first: number; end: number }[];
}

/** @param behind messages behind the checkpoint */
async function written(seed: number, behind = 0): Promise<Written> {
  const chance = new Prng(seed);
  const disk = new MemoryDisk();
  let checkpoints = new MemoryCheckpointStore();
  const { store } = await openStore({ disk, checkpoints });
  const sent: Written['sent'] = [[], [], []];
  for (let i = 0; i < count; i += 1) {
    const queue = chance.below(3);
    const id = `m${i}`;
    const { position, size } = send(store, { topic, queue, id, timestampMs: 1000 + i, bodyBytes: chance.below(400) });
    sent[queue]?.push({ id, position, size });
    if (i % 5 === 0) await committed(store);
  }
  await committed(store);
  await store.checkpoint();
  if (behind > 0) checkpoints = checkpoints.copy();
  for (let i = 0; i < behind; i += 1) {
    const id = `behind${i}`;
    sent[0]?.push({ id, ...send(store, { topic, queue: 0, id, timestampMs: 5000, bodyBytes: 10 }) });
    await committed(store);
  }
  await store.idle();
  const names = (await disk.list('data/log')).filter((name) => /^\d+\.log$/.test(name)).sort();
  const firsts = names.map((name) => Number(name.slice(0, 16)));
  const sealed = firsts.slice(0, -1).map((first, i) => ({ first, end: firsts[i + 1] as number }));
  await store.stop();
  expect(sealed.length).toBeGreaterThan(8);
  return { disk, checkpoints, sent, sealed };
}

/** What a consumer gets of a queue: ids, and `-` for what can't be read. */
async function consumed(store: MessageStore, queue: QueueId): Promise<string[]> {
  const found: string[] = [];
  const { first, committed: end } = store.bounds(topic, queue);
  for (let from: QueueOffset = first; from < end;) {
    const entries = await store.scan(topic, queue, from, 7);
    expect(entries.from).toBe(from);
    expect(entries.count).toBeGreaterThan(0); // Whoever reads on gets on.
    const wanted = Array.from({ length: entries.count }, (_, i) => ({
      position: entries.position(i),
      size: entries.size(i),
    }));
    for (const message of await store.readAll(wanted)) {
      if (message instanceof MqError) expect(message.code).toBe('CORRUPT_RECORD');
      found.push(message instanceof MqError ? '-' : idOf(message));
    }
    from = entries.end;
  }
  return found;
}

/** What the log itself gives, read a little at a time: ids, in its order. */
async function recorded(store: MessageStore, stepBytes: number): Promise<string[]> {
  const found: string[] = [];
  const each = ({ kind, payload }: LogRecord): void => {
    if (kind === RecordKind.message) found.push(new Envelope(payload).id);
  };
  for (let at = store.firstPosition; at < store.commitEnd;) {
    const until = Math.min(at + stepBytes, store.commitEnd) as LogPosition;
    const reached = await store.records(at, each, until, (from, to) => expect(to).toBeGreaterThan(from));
    expect(reached).toBeGreaterThan(at); // Whoever reads on gets on.
    at = reached;
  }
  return found;
}

async function check(
  { disk, checkpoints, sent }: Written,
  isHit: (position: number, size: number) => boolean,
  giveUpDamage = false,
): Promise<Damage[]> {
  const damages: Damage[] = [];
  const onDamage = (damage: Damage) => damages.push(damage);
  const { store, failures } = await openStore({ disk, checkpoints, giveUpDamage, onDamage });
  for (const queue of queues) {
    const wanted = (sent[queue] ?? []).map(({ id, position, size }) => (isHit(position, size) ? '-' : id));
    expect(await consumed(store, queue)).toEqual(wanted);
    expect(await consumed(store, queue)).toEqual(wanted);
  }
  const left = sent.flat().filter(({ position, size }) => !isHit(position, size));
  const inOrder = left.sort((a, b) => a.position - b.position).map(({ id }) => id);
  for (const stepBytes of [300, 1_000_000]) expect(await recorded(store, stepBytes)).toEqual(inOrder);
  // It goes on.
  const { offset, position, size } = send(store, { topic, queue: 0, id: 'after', timestampMs: 9000 });
  sent[0]?.push({ id: 'after', position, size });
  await committed(store);
  expect((await consumed(store, 0 as QueueId))[offset]).toBe('after');
  expect(failures).toEqual([]);
  expect(store.sizes.checksumFailures).toBe(damages.length);
  expect(store.sizes.lostBytes > 0).toBe(damages.some(({ first, end }) => end > first));
  await store.stop();
  return damages;
}

async function withoutIndex(disk: MemoryDisk, first: number): Promise<void> {
  for (const name of await disk.list('data/index')) {
    if (name.startsWith(String(first).padStart(16, '0'))) await disk.unlink(`data/index/${name}`);
  }
}

describe.each(['with its index', 'and its index is gone too'])('a sealed segment %s', (which) => {
  const indexGone = which !== 'with its index';

  it.each(seeds(6))('that is missing (seed %i)', async (seed) => {
    const all = await written(seed);
    const gone = new Prng(seed).pick(all.sealed);
    await all.disk.unlink(`data/log/${segmentName(gone.first)}`);
    if (indexGone) await withoutIndex(all.disk, gone.first);
    const damages = await check(all, (position) => position >= gone.first && position < gone.end);
    expect(damages[0]).toMatchObject(gone);
    expect(damages[0]?.what).toContain('missing');
  });

  it.each(seeds(6))('that is cut off, by a byte or by half (seed %i)', async (seed) => {
    const all = await written(seed);
    const chance = new Prng(seed);
    const cut = chance.pick(all.sealed);
    const bytes = cut.end - cut.first;
    const left = seed % 2 === 0 ? bytes - 1 : chance.below(bytes);
    const file = await all.disk.open(`data/log/${segmentName(cut.first)}`);
    await file.truncate(left);
    if (indexGone) await withoutIndex(all.disk, cut.first);
    const damages = await check(
      all,
      (position, size) => position >= cut.first && position < cut.end && position + size > cut.first + left,
    );
    expect(damages[0]).toMatchObject({ first: cut.first + left, end: cut.end });
  });

  it.each(seeds(6))('with bytes that went bad in the middle (seed %i)', async (seed) => {
    const all = await written(seed);
    const chance = new Prng(seed);
    const hit = chance.pick(all.sealed);
    const bad = hit.first + chance.below(hit.end - hit.first);
    const bytes = all.disk.peek(`data/log/${segmentName(hit.first)}`);
    bytes.writeUInt8(bytes.readUInt8(bad - hit.first) ^ 8, bad - hit.first);
    if (indexGone) await withoutIndex(all.disk, hit.first);
    await check(all, (position, size) => bad >= position && bad < position + size);
  });
});

describe('a sealed segment with bytes behind its end', () => {
  it.each(seeds(8))('is cut to its end once these are given up; no message is lost (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const all = await written(seed, chance.chance(0.5) ? 0 : 40);
    const longer = chance.chance(0.3) ? all.sealed.at(-1)! : chance.pick(all.sealed);
    const bytes = 1 + chance.below(3_000);
    const path = `data/log/${segmentName(longer.first)}`;
    const file = await all.disk.open(path);
    await file.write([Buffer.alloc(bytes, chance.pick([0, 1, 0xff]))], longer.end - longer.first);
    await file.sync();
    for (const giveUpDamage of [false, true]) {
      const disk = all.disk.settled();
      const opening = openStore({ ...all, disk, giveUpDamage });
      if (giveUpDamage) {
        const { store } = await opening;
        expect(store.sizes.tailCutBytes).toBe(bytes);
        await store.stop();
        expect(disk.peek(path).byteLength).toBe(longer.end - longer.first);
      } else {
        await expect(opening).rejects.toThrow(`--give-up-damage, to cut these ${bytes} bytes off`);
        expect(disk.peek(path)).toEqual(all.disk.peek(path));
      }
    }
    expect(await check(all, () => false, true)).toEqual([]);
    expect(await check(all, () => false)).toEqual([]);
  });

  it('is not cut for a file that is no segment of this log', async () => {
    const all = await written(1);
    const [first] = all.sent.flat().filter(({ position }) => position > 0 && position < (all.sealed[0]?.end ?? 0));
    for (const position of [first!.position, first!.position + 1]) {
      const disk = all.disk.settled();
      const stray = await disk.open(`data/log/${segmentName(position)}`, { create: true });
      await stray.write([Buffer.alloc(1_000, 1)], 0);
      await expect(openStore({ ...all, disk, giveUpDamage: true })).rejects.toThrow(
        /Nothing was changed(?!.*--give-up)/,
      );
    }
  });
});

describe('the newest segment', () => {
  const activeOf = ({ sealed, sent }: Written) => ({
    first: sealed.at(-1)?.end ?? 0,
    end: Math.max(...sent.flat().map(({ position, size }) => position + size)),
  });

  it.each(seeds(12))('costs what was hit below the checkpoint, once that is given up (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const all = await written(seed, seed % 2 === 0 ? 0 : 2);
    const mark = all.checkpoints.session().load()?.position ?? 0;
    const active = activeOf(all);
    // Where the messages behind the checkpoint began a segment of their own, it is the one before.
    const hit = active.first < mark ? active : (all.sealed.at(-1) as typeof active);
    const file = await all.disk.open(`data/log/${segmentName(hit.first)}`);
    const cuts = mark === active.end && chance.chance(0.5);
    const bad = hit.first + chance.below(mark - hit.first);
    if (cuts) await file.truncate(bad - hit.first);
    else {
      const bytes = all.disk.peek(`data/log/${segmentName(hit.first)}`);
      bytes.writeUInt8(bytes.readUInt8(bad - hit.first) ^ 8, bad - hit.first);
    }
    const lost = (position: number, size: number) =>
      cuts ? position + size > bad && position < mark : bad >= position && bad < position + size;
    await expect(openStore({ ...all, disk: all.disk.settled() })).rejects.toThrow(/--give-up-damage/);
    await check(all, lost, true);
    const damages = await check(all, lost);
    expect(damages.some(({ first, end }) => first <= bad && bad < end)).toBe(
      all.sent.flat().some(({ position, size }) => lost(position, size)),
    );
  });

  it('can be gone on without when it is missing behind a compacted one', async () => {
    const disk = new MemoryDisk();
    const checkpoints = new MemoryCheckpointStore();
    const { store } = await openStore({ disk, checkpoints });
    const kept: { id: string; position: number }[] = [];
    for (let i = 0; i < 120; i += 1) {
      const toKeep = i % 6 === 0;
      const { position } = send(store, {
        topic: toKeep ? topic : 2,
        queue: 0,
        id: `m${i}`,
        timestampMs: 1000 + i,
        bodyBytes: 200,
      });
      if (toKeep) kept.push({ id: `m${i}`, position });
      await committed(store);
    }
    const ended = async (): Promise<boolean> => {
      await store.retention.run(1e9, (each) => ((each as number) === 2 ? { ms: 1 } : undefined));
      await store.checkpoint();
      const files = (await disk.list('data/log')).filter((name) => /^\d+\./.test(name)).sort();
      return files.at(-2)?.endsWith('compacted') === true;
    };
    for (let rounds = 0; rounds < 20 && !(await ended()); rounds += 1);
    await store.stop();
    const names = (await disk.list('data/log')).filter((name) => /^\d+\./.test(name)).sort();
    const newest = names.at(-1) ?? '';
    expect(names.at(-2)).toMatch(/compacted$/);
    await disk.unlink(`data/log/${newest}`);
    await expect(openStore({ disk: disk.settled(), checkpoints })).rejects.toThrow(/--give-up-damage/);
    for (const giveUpDamage of [true, false]) {
      const opened = (await openStore({ disk, checkpoints, giveUpDamage })).store;
      const first = Number(newest.slice(0, 16));
      const wanted = kept.map(({ id, position }) => (position < first ? id : '-'));
      expect(await consumed(opened, 0 as QueueId)).toEqual(wanted);
      expect(opened.sizes.lostBytes).toBeGreaterThan(0);
      await opened.stop();
    }
  });

  it.each(seeds(4))('costs all from a bad record on that the checkpoint does not know of (seed %i)', async (seed) => {
    const all = await written(seed, 40);
    const mark = all.checkpoints.session().load()?.position ?? 0;
    const behind = (all.sent[0] ?? []).filter(({ position }) => position >= Math.max(mark, activeOf(all).first));
    const bad = new Prng(seed).pick(behind.slice(1, -1));
    const file = `data/log/${segmentName(activeOf(all).first)}`;
    all.disk.peek(file).fill(7, bad.position - activeOf(all).first, bad.position - activeOf(all).first + 8);
    await expect(openStore({ ...all, disk: all.disk.settled() })).rejects.toThrow(/--give-up-damage/);
    all.sent[0] = (all.sent[0] ?? []).filter(({ position }) => position < bad.position);
    await check(all, () => false, true);
    await check(all, () => false);
  });
});

it('several segments beside one another are missing: each is told of', async () => {
  const all = await written(3);
  const gone = all.sealed.slice(2, 5);
  for (const { first } of gone) await all.disk.unlink(`data/log/${segmentName(first)}`);
  const damages = await check(all, (position) => gone.some(({ first, end }) => position >= first && position < end));
  expect(damages.slice(0, 3)).toMatchObject(gone);
});

it('what retention took is not missed, and a folder of an older release has given up what it lacks', async () => {
  const all = await written(4);
  const { disk, checkpoints } = all;
  const first = await openStore({ disk, checkpoints });
  await first.store.retention.run(1e9, () => ({ ms: 0, bytes: undefined }));
  await first.store.stop();
  const damages: Damage[] = [];
  const again = await openStore({ disk, checkpoints, onDamage: (damage) => damages.push(damage) });
  expect(again.store.sizes.segments).toBe(1);
  expect(damages).toEqual([]);
  await again.store.stop();
  await disk.unlink('data/log/gaps');
  await disk.unlink('data/log/gaps.copy');
  const older = await openStore({ disk, checkpoints, onDamage: (damage) => damages.push(damage) });
  expect(damages).toEqual([]);
  await older.store.stop();
});

it('what is missing is not taken for given up because the list of that is damaged', async () => {
  const all = await written(4);
  const { disk, checkpoints } = all;
  await (await openStore({ disk, checkpoints })).store.stop();
  const gone = all.sealed[1] as { first: number; end: number };
  await disk.unlink(`data/log/${segmentName(gone.first)}`);
  const copies = ['data/log/gaps', 'data/log/gaps.copy'];
  for (const path of copies) {
    for (const away of [false, true]) {
      const harmed = disk.settled();
      if (away) await harmed.unlink(path);
      else flipByte(harmed, path);
      const damages: Damage[] = [];
      const { store } = await openStore({ disk: harmed, checkpoints, onDamage: (damage) => damages.push(damage) });
      expect(damages).toMatchObject([gone]);
      await store.stop();
      expect(harmed.peek(path)).toEqual(disk.peek(path)); // Written again.
    }
  }
  for (const path of copies) flipByte(disk, path);
  await expect(openStore({ disk, checkpoints })).rejects.toThrow(
    /DATA_FOLDER.*log\/gaps is damaged, and so is its copy/,
  );
});

it('expires what is left of a queue around what is lost', async () => {
  const all = await written(5);
  const gone = all.sealed[1] as { first: number; end: number };
  await all.disk.unlink(`data/log/${segmentName(gone.first)}`);
  await withoutIndex(all.disk, gone.first);
  const { store } = await openStore({ disk: all.disk, checkpoints: all.checkpoints });
  await store.retention.run(1e9, () => ({ ms: 0, bytes: undefined }));
  for (const queue of queues) expect(store.bounds(topic, queue)).toMatchObject({ first: all.sent[queue]?.length });
  expect(store.sizes.messages).toBe(0);
  expect(store.sizes.segments).toBe(1);
  await store.stop();
});

it('starts only when what is lost is not needed to know what follows', async () => {
  const all = await written(6);
  const last = all.sealed.at(-1) as { first: number };
  await all.disk.unlink(`data/log/${segmentName(last.first)}`);
  const fresh = new MemoryCheckpointStore();
  await expect(openStore({ disk: all.disk, checkpoints: fresh })).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
});
