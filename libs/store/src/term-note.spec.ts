import { epoch, memberId } from '@cometmq/model';
import type { SetState } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { MemoryDisk } from './disk/memory-disk.js';
import { flipByte, openStore } from './store-harness.js';
import { TermNotes } from './term-note.js';
import type { TermNote } from './term-note.js';

const member = memberId('broker-a/1');

function promise(n: number): TermNote {
  const state: SetState = { members: [member], quorum: 1, revision: n, epoch: epoch(n), leader: member };
  return {
    promised: { epoch: epoch(n), to: member },
    acted: { storeId: 's', generation: 1, revision: n, epoch: epoch(n) },
    state,
  };
}

async function reading(disk: MemoryDisk, expected = true): Promise<TermNotes> {
  await disk.makeFolder('data');
  return TermNotes.open(disk, 'data', expected);
}

async function refusal(act: () => unknown): Promise<string> {
  try {
    await act();
    return 'accepted';
  } catch (caught) {
    return MqError.from(caught).message;
  }
}

describe('the note of a term', () => {
  it('is empty at first, and then says what was written last', async () => {
    const disk = new MemoryDisk();
    const notes = await reading(disk, false);
    expect(notes.read()).toEqual({});
    await Promise.all([notes.write(promise(1)), notes.write(promise(2))]);
    expect(notes.read()).toEqual(promise(2));
    expect((await reading(disk)).read()).toEqual(promise(2));
  });

  // Goal: a promise that was told of is kept. Method: the power is cut before every single operation of the disk; what
  // the next process reads is the last that resolved, or the one under way.
  it.each(seeds(20))('outlives a power cut at any moment (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const disk = new MemoryDisk();
    const left: { disk: MemoryDisk; durable: number; asked: number }[] = [];
    let durable = 0;
    let asked = 0;
    const notes = await reading(disk, false);
    disk.watcher = () => left.push({ disk: disk.crash(chance, {}, true), durable, asked });
    for (let n = 1; n <= 5; n += 1) {
      asked = n;
      await notes.write(promise(n));
      durable = n;
    }
    expect(left).toHaveLength(20);
    for (const moment of left) {
      const found = (await reading(moment.disk)).read().promised?.epoch ?? 0;
      expect([moment.durable, moment.asked]).toContain(found);
    }
  });

  it('is read though one of its two copies is damaged; when both are, that is told and nothing is made up', async () => {
    const disk = new MemoryDisk();
    await (await reading(disk, false)).write(promise(7));
    const copies = ['data/term', 'data/term.copy'];
    for (const path of copies) {
      for (const gone of [false, true]) {
        const harmed = disk.settled();
        if (gone) await harmed.unlink(path);
        else flipByte(harmed, path);
        expect((await reading(harmed)).read()).toEqual(promise(7));
      }
    }
    for (const path of copies) flipByte(disk, path);
    expect(await refusal(() => reading(disk))).toMatch(/DATA_FOLDER.*\/data\/term is damaged.*empty data folder/);
  });

  it('that was lost is not taken for one that was never there', async () => {
    const { store, disk } = await openStore();
    await store.term.write(promise(3));
    await store.stop();
    await disk.unlink('data/term');
    await disk.unlink('data/term.copy');
    expect(await refusal(() => openStore({ disk }))).toMatch(/DATA_FOLDER.*\/data\/term is missing/);
  });

  it('of a newer format is refused', async () => {
    const disk = new MemoryDisk();
    const notes = await reading(disk, false);
    await notes.write({ ...promise(1), format: 2 } as TermNote);
    expect(await refusal(() => reading(disk))).toMatch(/DATA_FOLDER.*format 2.*newer release/);
  });

  // Goal: a member whose disk is full can still promise, and is not what a hand-over or an election fails for.
  it('is written on a full disk too', async () => {
    const disk = new MemoryDisk();
    const notes = await reading(disk, false);
    disk.capacityBytes = disk.usedBytes();
    await notes.write(promise(2));
    disk.capacityBytes = Infinity;
    expect((await reading(disk)).read()).toEqual(promise(2));
  });

  it('that has grown beyond its file and finds no room is the one before', async () => {
    const disk = new MemoryDisk();
    const notes = await reading(disk, false);
    await notes.write(promise(1));
    disk.capacityBytes = disk.usedBytes();
    const large = { ...promise(2), acted: { storeId: 's'.repeat(8_000), generation: 1, revision: 2, epoch: epoch(2) } };
    expect(await refusal(() => notes.write(large))).toMatch(/STORAGE_FULL/);
    expect(notes.read()).toEqual(promise(1));
    disk.capacityBytes = Infinity;
    expect((await reading(disk)).read()).toEqual(promise(1));
    await notes.write(large);
    expect((await reading(disk)).read()).toEqual(large);
  });

  // Others wait for a promise, and each step of it waits for a turn of a busy machine.
  it('takes one write of each of its two copies, and nothing else', async () => {
    const disk = new MemoryDisk();
    const notes = await reading(disk, false);
    const steps: string[] = [];
    disk.watcher = ({ kind, path }) => steps.push(`${kind} ${path}`);
    await notes.write(promise(1));
    expect(steps).toEqual(['write data/term', 'sync data/term', 'write data/term.copy', 'sync data/term.copy']);
  });
});
