import type { GroupId, QueueId, TopicId, StateChange } from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import { blockOffsets, DeliveryState } from './block-table.js';
import { leasesPerPage, type LeaseClient } from './lease-table.js';
import { eachRun, OffsetRuns } from './offset-runs.js';
import type { Lane } from './lane-list.js';

import type { ProgressDirectory } from './progress-directory.js';
import type { LaneHold } from './lane-list.js';
import type { QueueProgress } from './queue-progress.js';
import type { Tables } from './tables.js';

/**
 * The state in pieces, for checkpoints that write only what has changed:
 *
 *   <group>/<topic>/<queue>/h           | 1 | frontier | generation |
 *   <group>/<topic>/<queue>/b/<block>   | 1 | open u32 | (attempt × 4 + state | lease slot or park key | own due time f64, waiting only) × open bits |
 *   <group>/<topic>/<queue>/n/<lane>    | 2 | spill from + 1, or 0 | spilled | held until | backlog runs | holds | hold × holds |
 *     hold                              | epoch | position | client text | until | offset runs |
 *   l/<page>                            | 2 | clients | text × clients | leases | lease × leases |
 *     lease                             | slot u8 | client | group | topic | queue | epoch | position | first | last | handed out | due | renewed u8 | lane + 1, or 0 | back-off | attempt id text |
 *
 * The last three are not in pages of layout 1, and the holds not in lanes of layout 1.
 *
 * Slots of leases are this broker's own numbering: blocks and pages of one checkpoint agree, and nobody else sees them.
 * Loading takes pieces in any order; `settle` then counts, links and queues what they hold.
 */
const layout = 1;
const secondLayout = 2;

export class Pieces {
  private readonly out = new ByteWriter();
  private loaded = false;
  private loadedBlocks: number[] = [];

  constructor(
    private readonly tables: Tables<QueueProgress>,
    private readonly directory: ProgressDirectory,
  ) {}

  take(): StateChange[] {
    const { blocks, leases, removed, dirtyHeads } = this.tables;
    const changes: StateChange[] = [];
    for (const progress of this.directory.removed) {
      if (!this.directory.find(progress.groupId, progress.topicId, progress.queueId)) {
        changes.push({ key: `${prefix(progress)}/h`, value: undefined });
      }
    }
    this.directory.removed = [];
    for (const { progress, number } of removed) {
      const now = this.directory.find(progress.groupId, progress.topicId, progress.queueId);
      if (!now || blocks.find(now.index, number) < 0)
        changes.push({ key: blockKey(progress, number), value: undefined });
    }
    removed.length = 0;
    for (const progress of dirtyHeads) {
      progress.headDirty = false;
      if (!this.directory.isCurrent(progress)) continue;
      progress.headSaved = true;
      changes.push({ key: `${prefix(progress)}/h`, value: this.head(progress) });
    }
    dirtyHeads.length = 0;
    for (const row of blocks.takeDirty()) {
      const progress = this.directory.byIndex(blocks.owner(row));
      changes.push({ key: blockKey(progress, blocks.number(row)), value: this.block(row) });
    }
    this.takeLanes(changes);
    for (const { page, saved } of leases.takeDirty()) {
      const value = this.page(page);
      if (value !== undefined || saved) changes.push({ key: `l/${page}`, value });
      leases.setSaved(page, value !== undefined);
    }
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    this.loaded = true;
    const from = new ByteReader(value);
    const parts = key.split('/');
    const version = from.u8();
    const hasSecond = parts[0] === 'l' || parts[3] === 'n';
    assert(version === layout || (hasSecond && version === secondLayout), 'a piece has a layout we know');
    if (parts[0] === 'l') return this.loadPage(Number(parts[1]), from, version);
    const progress = this.progress(Number(parts[0]), Number(parts[1]), Number(parts[2]));
    if (parts[3] === 'h') {
      progress.frontier = from.whole();
      progress.generation = from.whole();
      progress.headSaved = true;
    } else if (parts[3] === 'n') this.loadLane(progress, Number(parts[4]), from, version);
    else this.loadBlock(progress, Number(parts[4]), from);
  }

  /** After the last `load`, before anything else. */
  settle(): void {
    if (!this.loaded) return;
    this.loaded = false;
    const { blocks, leases, dirtyHeads } = this.tables;
    for (const progress of dirtyHeads) progress.headDirty = false;
    dirtyHeads.length = 0;
    const rows = this.loadedBlocks.sort((a, b) => blocks.number(a) - blocks.number(b));
    this.loadedBlocks = [];
    for (const row of rows) this.directory.byIndex(blocks.owner(row)).adopt(row);
    leases.rebuild();
    for (let slot = 0; slot < leases.slotsEnd(); slot += 1) {
      if (leases.inUse[slot] === 1 && (leases.held[slot] as number) > 0 && leases.lane[slot] === 0) {
        this.directory.byIndex(leases.owner[slot] as number).unordered.queueLease(slot);
      }
    }
    for (const groupId of this.directory.groupIds()) {
      for (const progress of this.directory.all(groupId)) progress.lanes?.requeue();
    }
  }

  private takeLanes(changes: StateChange[]): void {
    const { lanes } = this.tables;
    const { dirty } = lanes;
    lanes.dirty = [];
    const current = ({ groupId, topicId, queueId }: QueueProgress, hash: number): Lane | undefined =>
      this.directory.find(groupId, topicId, queueId)?.lanes?.find(hash);
    for (const { progress, lane } of dirty) {
      lane.dirty = false;
      const now = current(progress, lane.hash);
      if (now === lane && lane.hasPiece) {
        lane.saved = true;
        changes.push({ key: laneKey(progress, lane.hash), value: this.lane(lane) });
      } else if (lane.saved) {
        lane.saved = false;
        // Another one in its place has, or will have, a piece of its own.
        if (!now?.hasPiece) changes.push({ key: laneKey(progress, lane.hash), value: undefined });
      }
    }
  }

  private lane(lane: Lane): Uint8Array {
    const out = this.begin(secondLayout);
    out.whole(lane.spillFrom + 1);
    out.whole(lane.spilled);
    out.whole(lane.holdUntilMs);
    const runs = new OffsetRuns();
    for (let i = 0; i < lane.kept; i += 1) runs.push(lane.backlog?.at(i) ?? 0, 0);
    runs.write(out);
    out.whole(lane.holds.length);
    for (const { epoch, position, clientId, untilMs, offsets } of lane.holds) {
      out.whole(epoch);
      out.whole(position);
      out.text(clientId);
      out.whole(untilMs);
      const held = new OffsetRuns();
      for (const offset of offsets) held.push(offset, 0);
      held.write(out);
    }
    return out.taken();
  }

  private loadLane(progress: QueueProgress, hash: number, from: ByteReader, version: number): void {
    const spillFrom = from.whole() - 1;
    const spilled = from.whole();
    const holdUntilMs = from.whole();
    const backlog = OffsetRuns.read(from);
    const holds: LaneHold[] = [];
    if (version === secondLayout) for (let left = from.whole(); left > 0; left -= 1) holds.push(readHold(from));
    // Nobody can prove to be done with it: it ends with its time.
    else if (holdUntilMs > 0) holds.push({ epoch: 0, position: 0, clientId: '', untilMs: holdUntilMs, offsets: [] });
    progress.lanesFor().lanes.load(hash, backlog, spillFrom, spilled, holds);
  }

  private head(progress: QueueProgress): Uint8Array {
    const out = this.begin();
    out.whole(progress.frontier);
    out.whole(progress.generation);
    return out.taken();
  }

  private block(row: number): Uint8Array {
    const { blocks } = this.tables;
    const out = this.begin();
    out.u32(blocks.open(row));
    for (let index = 0; index < blockOffsets; index += 1) {
      if (!blocks.isOpen(row, index)) continue;
      const state = blocks.state(row, index);
      out.whole(blocks.attempt(row, index) * 4 + state);
      out.whole(blocks.detail(row, index));
      if (state === DeliveryState.waiting) out.f64(blocks.dueMs(row, index));
    }
    return out.taken();
  }

  private loadBlock(progress: QueueProgress, number: number, from: ByteReader): void {
    const { blocks } = this.tables;
    const row = blocks.add(progress.index, number);
    const open = from.u32();
    for (let index = 0; index < blockOffsets; index += 1) {
      if (((open >>> index) & 1) === 0) continue;
      const word = from.whole();
      const detail = from.whole();
      blocks.openAt(row, index, word % 4, Math.floor(word / 4), detail);
      if (word % 4 === DeliveryState.waiting) blocks.setDueMs(row, index, from.f64());
    }
    blocks.setSaved(row);
    this.loadedBlocks.push(row);
  }

  /** Undefined: no lease of the page is in use. */
  private page(page: number): Uint8Array | undefined {
    const { leases } = this.tables;
    const slots: number[] = [];
    const clients = new Map<LeaseClient, number>();
    const end = Math.min((page + 1) * leasesPerPage, leases.slotsEnd());
    for (let slot = page * leasesPerPage; slot < end; slot += 1) {
      if (leases.inUse[slot] === 0) continue;
      slots.push(slot);
      const client = leases.clientOf(slot);
      if (!clients.has(client)) clients.set(client, clients.size);
    }
    if (slots.length === 0) return undefined;
    const out = this.begin(secondLayout);
    out.whole(clients.size);
    for (const client of clients.keys()) out.text(client.clientId);
    out.whole(slots.length);
    for (const slot of slots) {
      const progress = this.directory.byIndex(leases.owner[slot] as number);
      out.u8(slot % leasesPerPage);
      out.whole(clients.get(leases.clientOf(slot)) ?? 0);
      out.whole(progress.groupId);
      out.whole(progress.topicId);
      out.whole(progress.queueId);
      out.whole(leases.epoch[slot] as number);
      out.whole(leases.position[slot] as number);
      out.whole(leases.first[slot] as number);
      out.whole(leases.last[slot] as number);
      out.f64(leases.handedMs[slot] as number);
      out.whole(leases.dueMs[slot] as number);
      out.u8(leases.autoRenew[slot] as number);
      out.whole(leases.lane[slot] as number);
      out.whole(leases.backoffMs[slot] as number);
      out.text(leases.attempts.idOf(slot));
    }
    return out.taken();
  }

  private loadPage(page: number, from: ByteReader, version: number): void {
    const { leases } = this.tables;
    const clients: string[] = [];
    for (let left = from.whole(); left > 0; left -= 1) clients.push(from.text());
    for (let left = from.whole(); left > 0; left -= 1) {
      const slot = page * leasesPerPage + from.u8();
      const clientId = clients[from.whole()] ?? '';
      const groupId = from.whole() as GroupId;
      const progress = this.progress(groupId, from.whole(), from.whole());
      const epoch = from.whole();
      const position = from.whole();
      const first = from.whole();
      const last = from.whole();
      const handedMs = from.f64();
      const dueMs = from.whole();
      const autoRenew = from.u8() === 1;
      const lane = version === layout ? 0 : from.whole();
      const backoffMs = version === layout ? 0 : from.whole();
      const attemptId = version === layout ? '' : from.text();
      const client = leases.clientFor(groupId, clientId);
      const lease = { epoch, position, handedMs, dueMs, autoRenew, client, attemptId };
      const inLane = lane === 0 ? undefined : { hash: lane - 1, backoffMs };
      leases.set(slot, lease, progress.index, first, last, inLane);
    }
    leases.setSaved(page, true);
  }

  private progress(group: number, topic: number, queue: number): QueueProgress {
    const [groupId, topicId, queueId] = [group as GroupId, topic as TopicId, queue as QueueId];
    return this.directory.find(groupId, topicId, queueId) ?? this.directory.create(groupId, topicId, queueId, 0);
  }

  private begin(version = layout): ByteWriter {
    const out = this.out.begin();
    out.u8(version);
    return out;
  }
}

function readHold(from: ByteReader): LaneHold {
  const epoch = from.whole();
  const position = from.whole();
  const clientId = from.text();
  const untilMs = from.whole();
  const offsets: number[] = [];
  eachRun(OffsetRuns.read(from), (offset) => offsets.push(offset));
  return { epoch, position, clientId, untilMs, offsets };
}

function prefix(progress: QueueProgress): string {
  return `${progress.groupId}/${progress.topicId}/${progress.queueId}`;
}

function blockKey(progress: QueueProgress, number: number): string {
  return `${prefix(progress)}/b/${number}`;
}

function laneKey(progress: QueueProgress, hash: number): string {
  return `${prefix(progress)}/n/${hash}`;
}
