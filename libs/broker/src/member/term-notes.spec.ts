import type { SetReading } from '@cometmq/client';
import { epoch, KiB, memberId, type SetState } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { MessageStore } from '@cometmq/store';
import { faultyDisk, MemoryDisk } from '@cometmq/store/testing';

import { TermNotes } from './term-notes.js';

const [a, b] = [memberId('a/1'), memberId('b/1')];
const reading: SetReading = { storeId: 's', generation: 1, state: undefined, present: [], former: [] };
const stateAt = (n: number): SetState => ({ members: [a, b], quorum: 2, revision: n, epoch: epoch(n), leader: a });

const onFailed = (error: MqError): void => {
  throw error;
};

describe('what a member keeps of terms', () => {
  let isFull = false;
  let hung: PromiseWithResolvers<undefined> | undefined;
  const disk = faultyDisk(new MemoryDisk(), (operation, path) => {
    if (operation !== 'write' || !path.includes('/term')) return undefined;
    return isFull ? Object.assign(new Error('no space left'), { code: 'ENOSPC' }) : hung?.promise;
  });
  let store: MessageStore;
  let notes: TermNotes;

  beforeEach(async () => {
    store = new MessageStore({
      ...{ disk, folder: 'data', brokerName: 'b', clock: new ManualClock(), views: [], follows: true, onFailed },
      limits: {
        segmentBytes: 64 * KiB,
        recordBytesMax: 4 * KiB,
        freeBytesMin: 0,
        aheadBytes: 4 * KiB,
        reserveBytes: 0,
      },
    });
    await store.start();
    notes = new TermNotes(store);
    notes.read();
  });
  afterEach(async () => {
    isFull = false;
    await store.stop();
  });

  it('holds at once, and is on the disk when that is said', async () => {
    const promised = notes.promise({ epoch: epoch(3), to: b });
    expect(notes.promised).toEqual({ epoch: 3, to: b });
    expect(store.term.read().promised).toBeUndefined();
    await promised;
    expect(store.term.read().promised).toEqual({ epoch: 3, to: b });
  });

  // Goal: nothing is taken for noted that is not: a follower would acknowledge records under a promise that it forgets, and
  // a member stand under an older store. Method: the disk is full; then it is not, and the same is asked for again.
  it('is what could be written: what could not is asked for again', async () => {
    await notes.promise({ epoch: epoch(4), to: a });
    await notes.actUnder(reading, stateAt(4));
    isFull = true;
    await expect(notes.promise({ epoch: epoch(5), to: b })).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(notes.promised).toEqual({ epoch: 4, to: a });
    await expect(notes.actUnder(reading, stateAt(5))).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(notes.acted?.revision).toBe(4);
    isFull = false;
    await notes.actUnder(reading, stateAt(5));
    await notes.promise({ epoch: epoch(5), to: b });
    expect(store.term.read()).toMatchObject({ promised: { epoch: 5, to: b }, acted: { revision: 5 } });
    expect(notes.actUnder(reading, stateAt(5))).toBeUndefined();
  });

  it('is not set back by a note that shows only that the disk answers', async () => {
    await notes.actUnder(reading, stateAt(6));
    hung = Promise.withResolvers();
    const acted = notes.actUnder(reading, stateAt(7));
    const probed = store.term.rewrite(); // Asked for while the one before is under way.
    hung.resolve(undefined);
    hung = undefined;
    await Promise.all([acted, probed]);
    expect(store.term.read().acted?.revision).toBe(7);
  });
});
