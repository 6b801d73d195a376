/**
 * What a member's checkpoint says, however often it was loaded, folded on and stored again, is what the log comes to from its
 * first record on.
 */
import { SetViews } from '@cometmq/broker/testing';
import { DataFolder, RecordBlock } from '@cometmq/store';
import { DiskCheckpointStore, type MemoryDisk } from '@cometmq/store/testing';
import type { Clock } from '@cometmq/shared';

interface Committed {
  readonly committedEnd: number;
  bytesOf(from: number, end: number): Buffer;
}

const cold = '~';
/** Which piece, or slot, holds something says what was there before, too; that those end as they should, clients see. */
const leavesItsWay = new Set(['timers', 'transactions']);

/** @returns the first difference */
export async function differsFromLog(
  disk: MemoryDisk,
  brokerSet: string,
  clock: Clock,
  committed: Committed,
): Promise<string | undefined> {
  const copy = disk.settled();
  const { incarnation } = await DataFolder.open(copy, 'data', brokerSet);
  const store = await DiskCheckpointStore.open(copy, 'data/state', incarnation, clock);
  const checkpoint = store.load();
  if (!checkpoint) return undefined;
  const { position } = checkpoint;
  if (position > committed.committedEnd) return `it stands for ${position}, and that is not committed`;
  const views = new SetViews().all.filter(({ name }) => !leavesItsWay.has(name));
  const block = new RecordBlock(committed.bytesOf(0, position));
  for (let at = 0; at < position; at += block.sizeAt(at)) {
    const record = block.record(at);
    for (const view of views) if (view.kinds.has(record.kind)) view.fold(record);
  }
  const names = new Set(views.map(({ name }) => name));
  const stored = new Map<string, Uint8Array>();
  for (const [key, value] of [...checkpoint.pieces, ...checkpoint.coldPieces]) {
    const plain = key.startsWith(cold) ? key.slice(cold.length) : key;
    if (names.has(plain.slice(0, plain.indexOf('/')))) stored.set(plain, value);
  }
  for (const view of views) {
    for (const { key, value } of view.takeChanges()) {
      const known = stored.get(`${view.name}/${key}`);
      stored.delete(`${view.name}/${key}`);
      if (value === undefined ? known === undefined : known && Buffer.compare(known, value) === 0) continue;
      return `piece ${view.name}/${key} at ${position} is ${text(known)}, and the log says ${text(value)}`;
    }
  }
  const [more] = stored.keys();
  return more === undefined ? undefined : `piece ${more} at ${position} is there, and the log says nothing of it`;
}

const text = (value: Uint8Array | undefined): string =>
  value ? `${value.byteLength} bytes, ${Buffer.from(value).toString('hex').slice(0, 64)}…` : 'nothing';
