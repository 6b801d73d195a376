/**
 * What a member's checkpoint says, however often it was loaded, folded on and stored again, is what the log comes to from its
 * first record on.
 */
import { SetViews } from '@cometmq/broker/testing';
import { DataFolder, RecordBlock, type StateView } from '@cometmq/store';
import { DiskCheckpointStore, type MemoryDisk } from '@cometmq/store/testing';
import { ByteReader, type Clock } from '@cometmq/shared';

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
  const folded = new SetViews();
  const loaded = new SetViews();
  const views = folded.all.filter(({ name }) => !leavesItsWay.has(name));
  const block = new RecordBlock(committed.bytesOf(0, position));
  for (let at = 0; at < position; at += block.sizeAt(at)) {
    const record = block.record(at);
    for (const view of views) if (view.kinds.has(record.kind)) view.fold(record);
  }
  const stored = new Map<string, Map<string, Uint8Array>>(views.map(({ name }) => [name, new Map()]));
  for (const [key, value] of [...checkpoint.pieces, ...checkpoint.coldPieces]) {
    const plain = key.startsWith(cold) ? key.slice(cold.length) : key;
    const slash = plain.indexOf('/');
    stored.get(plain.slice(0, slash))?.set(plain.slice(slash + 1), value);
  }
  for (const view of views) {
    const pieces = stored.get(view.name) as Map<string, Uint8Array>;
    // The numbers of its leases are each broker's own.
    let differs: string | undefined;
    if (view === folded.groups) differs = groupsDiffer(folded, loaded, pieces);
    else if (view === folded.dedupWindow) differs = dedupDiffers(view, pieces);
    else differs = piecesDiffer(view, pieces);
    if (differs !== undefined) return `${view.name} at ${position}: ${differs}`;
  }
  return undefined;
}

function groupsDiffer(folded: SetViews, loaded: SetViews, pieces: Map<string, Uint8Array>): string | undefined {
  for (const [key, value] of pieces) loaded.groups.load(key, value);
  const wanted = folded.groups.describe();
  const found = loaded.groups.describe();
  for (let i = 0; i < Math.max(wanted.length, found.length); i += 1) {
    if (wanted[i] !== found[i]) return `"${found[i] ?? ''}", and the log says "${wanted[i] ?? ''}"`;
  }
  return undefined;
}

/** A chunk says when its minute ended by the time at which it was stored; of a minute's chunks the latest counts. */
function dedupDiffers(view: StateView, pieces: ReadonlyMap<string, Uint8Array>): string | undefined {
  const wanted = dedupText([...view.takeChanges()].flatMap(({ key, value }) => (value ? [[key, value] as const] : [])));
  const found = dedupText(pieces);
  for (const key of new Set([...wanted.keys(), ...found.keys()])) {
    if (wanted.get(key) !== found.get(key)) return `${key} differs`;
  }
  return undefined;
}

/** What each chunk says but for that, and the end of each minute. */
function dedupText(pieces: Iterable<readonly [string, Uint8Array]>): Map<string, string | number> {
  const said = new Map<string, string | number>();
  for (const [key, value] of pieces) {
    const from = new ByteReader(value);
    const [layout, startedMs, endedMs, count] = [from.u8(), from.whole(), from.whole(), from.whole()];
    const entries = Array.from({ length: count }, () => [from.f64(), from.whole(), from.whole()].join(' '));
    said.set(`piece ${key}`, [layout, startedMs, ...entries].join());
    const minute = `the end of minute ${key.split('/', 1)[0]}`;
    said.set(minute, Math.max(Number(said.get(minute) ?? 0), endedMs));
  }
  return said;
}

function piecesDiffer(view: StateView, pieces: Map<string, Uint8Array>): string | undefined {
  for (const { key, value } of view.takeChanges()) {
    const known = pieces.get(key);
    pieces.delete(key);
    if (value === undefined ? known === undefined : known && Buffer.compare(known, value) === 0) continue;
    return `piece ${key} is ${text(known)}, and the log says ${text(value)}`;
  }
  const [more] = pieces.keys();
  return more === undefined ? undefined : `piece ${more} is there, and the log says nothing of it`;
}

const text = (value: Uint8Array | undefined): string =>
  value ? `${value.byteLength} bytes, ${Buffer.from(value).toString('hex').slice(0, 64)}…` : 'nothing';
