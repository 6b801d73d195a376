/** A log that can't be opened, and what another member may give for it: what stood there, or nothing. */
import type { Epoch } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { MemoryDisk } from '../disk/memory-disk.js';
import { buildStore, committed, openStore, send } from '../store-harness.js';
import type { OpenedStore } from '../store-harness.js';
import { DamagedLogError } from './damaged-part.js';

/** Some of a size: where two logs part, their records go on at the same places. */
async function write({ store }: OpenedStore, count: number, chance: Prng): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    send(store, { topic: 1, queue: 0, id: `m${100 + chance.below(900)}`, timestampMs: 1_000 + i, bodyBytes: 100 });
    if (chance.below(4) === 0) await committed(store);
  }
  await committed(store);
}

/** A store on a copy of this disk, which goes on in an epoch of its own, or in the one that it is in. */
async function goesOn(disk: MemoryDisk, epoch: number | undefined, chance: Prng): Promise<OpenedStore> {
  const opened = await openStore({ disk: disk.settled() });
  if (epoch !== undefined) await opened.store.beginEpoch(epoch as Epoch, 2_000);
  await write(opened, chance.below(12), chance);
  return opened;
}

/** Of the log, with something in it. */
async function someFile(disk: MemoryDisk, chance: Prng): Promise<{ path: string; first: number }> {
  const names = (await disk.list('data/log')).filter((name) => name.endsWith('.log'));
  const files = names.map((name) => ({ path: `data/log/${name}`, first: Number.parseInt(name, 10) }));
  return chance.pick(files.filter(({ path }) => disk.peek(path)[0] !== 0));
}

/** Opens it, as far as the other one can give what is damaged. */
async function openWithHelp(disk: MemoryDisk, other: OpenedStore, setEpoch: Epoch): Promise<'opened' | 'refused'> {
  const { store } = buildStore({ disk });
  for (let last = -1; ;) {
    try {
      await store.start();
      await store.stop();
      return 'opened';
    } catch (caught) {
      if (!(caught instanceof DamagedLogError)) throw caught;
      const { part } = caught;
      expect(part.first).toBeGreaterThan(last);
      last = part.first;
      try {
        await store.mendPart(part, setEpoch, other.store.repairs.records(part.first, part.end, true));
      } catch (failure) {
        expect(MqError.from(failure).code).toMatch(/^(CORRUPT_RECORD|NOT_FOUND)$/);
        return 'refused';
      }
    }
  }
}

// Goal: after damage there stands again what stood there, or nobody opens it. Method: two logs that part somewhere, or do not,
// damage by chance in one of them, and the other one's records.
describe('a log with damaged records', () => {
  const came = { opened: 0, refused: 0 };

  it.each(seeds(60))('is what it was with the help of another one, or is not opened (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const first = await openStore({});
    await first.store.beginEpoch(1 as Epoch, 0);
    await write(first, 2 + chance.below(12), chance);
    const common = first.disk as MemoryDisk;
    const commonEnd = first.store.appendEnd;
    const mine = await goesOn(common, chance.below(2) === 0 ? undefined : 3, chance);
    const setEpoch = mine.store.epoch;
    await mine.store.stop();
    const disk = (mine.disk as MemoryDisk).settled();
    // The leader of the first epoch knows all that was written in it.
    const isSame = setEpoch === 1 || chance.below(2) === 0;
    const other = isSame
      ? await openStore({ disk: disk.settled() })
      : await goesOn(common, chance.below(2) === 0 ? undefined : 2, chance);
    const { path: name, first: fileFirst } = await someFile(disk, chance);
    const before = Buffer.from(disk.peek(name));
    const end = before.findLastIndex((byte) => byte !== 0) + 1;
    const bytes = disk.peek(name);
    for (let count = 1 + chance.below(3); count > 0; count -= 1) {
      const places = [chance.below(end), end - 1 - chance.below(200), commonEnd - fileFirst + chance.below(100)];
      const at = Math.max(0, Math.min(chance.pick(places), end - 1));
      const size = chance.pick([1, 1, 1, 60, 400]);
      for (let i = at; i < Math.min(end, at + size); i += 1)
        bytes[i] = size === 1 ? (bytes[i] as number) ^ (1 << chance.below(8)) : 0;
    }
    const damaged = Buffer.from(bytes);
    const outcome = await openWithHelp(disk, other, setEpoch);
    came[outcome] += 1;
    if (outcome === 'opened') expect(disk.peek(name).subarray(0, end).equals(before.subarray(0, end))).toBe(true);
    // What was given was what stood there; what was not given was not touched.
    else
      for (let i = 0; i < end; i += 1)
        if (disk.peek(name)[i] !== damaged[i]) expect(disk.peek(name)[i]).toBe(before[i]);
    if (isSame) expect(outcome).toBe('opened');
    await Promise.all([first, other].map(({ store }) => store.stop()));
  });

  it('takes nothing of a later epoch behind records that this epoch may not have', async () => {
    const chance = new Prng(1);
    const first = await openStore({});
    await first.store.beginEpoch(1 as Epoch, 0);
    await write(first, 3, chance);
    const grown = async (epoch: Epoch): Promise<OpenedStore> => {
      const opened = await openStore({ disk: (first.disk as MemoryDisk).settled() });
      await opened.store.beginEpoch(epoch, 2_000);
      await write(opened, 4, chance);
      return opened;
    };
    // Nobody heard of what this member led in epoch 2. Records of a size: those of epoch 3 stand at the same places.
    const mine = await grown(2 as Epoch);
    const other = await grown(3 as Epoch);
    expect(other.store.appendEnd).toBe(mine.store.appendEnd);
    const end = mine.store.appendEnd;
    await mine.store.stop();
    const disk = (mine.disk as MemoryDisk).settled();
    const [name = ''] = (await disk.list('data/log')).filter((one) => one.endsWith('.log'));
    disk.peek(`data/log/${name}`).fill(0, end - 100, end); // Neither its checksum nor what it sums up is left of it.
    disk.peek(`data/log/${name}`).fill(0, end - 200, end - 160);
    expect(await openWithHelp(disk, other, 3 as Epoch)).toBe('refused');
    await Promise.all([first, other].map(({ store }) => store.stop()));
  });

  it('came to both', () => {
    expect(came.opened).toBeGreaterThan(10);
    expect(came.refused).toBeGreaterThan(5);
  });
});
