import type { LogPosition, QueueId, TopicId } from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { Timer } from './ports.js';

const layout = 1;
const scratch = new ByteWriter();

/** Timers in columns: no object a timer. */
export class TimerList {
  length = 0;
  position = new Float64Array(16);
  dueMs = new Float64Array(16);
  size = new Uint32Array(16);
  topicId = new Uint32Array(16);
  queueId = new Uint32Array(16);
  tagHash = new Uint32Array(16);
  groupHash = new Uint32Array(16);

  push(timer: Timer): void {
    this.put(timer.position, timer.dueMs, timer.size, timer.topicId, timer.queueId, timer.tagHash, timer.groupHash);
  }

  pushFrom(from: TimerList, i: number): void {
    this.put(
      from.position[i] as number,
      from.dueMs[i] as number,
      from.size[i] as number,
      from.topicId[i] as number,
      from.queueId[i] as number,
      from.tagHash[i] as number,
      from.groupHash[i] as number,
    );
  }

  put(
    position: number,
    dueMs: number,
    size: number,
    topicId: number,
    queueId: number,
    tagHash: number,
    groupHash: number,
  ): number {
    const i = this.length;
    if (i === this.position.length) this.grow();
    this.set(i, position, dueMs, size, topicId, queueId, tagHash, groupHash);
    this.length = i + 1;
    return i;
  }

  set(
    i: number,
    position: number,
    dueMs: number,
    size: number,
    topicId: number,
    queueId: number,
    tagHash: number,
    groupHash: number,
  ): void {
    this.position[i] = position;
    this.dueMs[i] = dueMs;
    this.size[i] = size;
    this.topicId[i] = topicId;
    this.queueId[i] = queueId;
    this.tagHash[i] = tagHash;
    this.groupHash[i] = groupHash;
  }

  at(i: number): Timer {
    return {
      position: this.position[i] as LogPosition,
      dueMs: this.dueMs[i] as number,
      size: this.size[i] as number,
      topicId: this.topicId[i] as TopicId,
      queueId: this.queueId[i] as QueueId,
      tagHash: this.tagHash[i] as number,
      groupHash: this.groupHash[i] as number,
    };
  }

  /** The numbers of those that pass, in the order of `isBefore`. */
  order(keep: (i: number) => boolean): Uint32Array {
    const order = new Uint32Array(this.length);
    let count = 0;
    for (let i = 0; i < this.length; i += 1) if (keep(i)) order[count++] = i;
    const { dueMs, position } = this;
    return order
      .subarray(0, count)
      .sort((a, b) => (dueMs[a] as number) - (dueMs[b] as number) || (position[a] as number) - (position[b] as number));
  }

  private grow(): void {
    this.position = grown(this.position);
    this.dueMs = grown(this.dueMs);
    this.size = grown(this.size);
    this.topicId = grown(this.topicId);
    this.queueId = grown(this.queueId);
    this.tagHash = grown(this.tagHash);
    this.groupHash = grown(this.groupHash);
  }
}

/**
 * Timers as a piece, in the order given, which must be that of their due times: about 15 bytes each.
 *
 *   | 1 | count | (due − the one before | position − the one before, signed | size | topic | queue | tag u32 | group u32) × count |
 */
export function encodeTimers(list: TimerList, order: Uint32Array): Uint8Array {
  const out = scratch.begin();
  out.u8(layout);
  out.whole(order.length);
  let dueMs = 0;
  let position = 0;
  for (const i of order) {
    out.whole((list.dueMs[i] as number) - dueMs);
    out.signed((list.position[i] as number) - position);
    out.whole(list.size[i] as number);
    out.whole(list.topicId[i] as number);
    out.whole(list.queueId[i] as number);
    out.u32(list.tagHash[i] as number);
    out.u32(list.groupHash[i] as number);
    dueMs = list.dueMs[i] as number;
    position = list.position[i] as number;
  }
  return out.taken();
}

/** Adds those of a piece that are due from `fromMs` to before `toMs` to a list. */
export function decodeTimers(piece: Uint8Array, into: TimerList, fromMs = 0, toMs = Infinity): void {
  const from = new ByteReader(piece);
  assert(from.u8() === layout, 'a piece of timers has a layout this version knows');
  let dueMs = 0;
  let position = 0;
  for (let left = from.whole(); left > 0; left -= 1) {
    dueMs += from.whole();
    if (dueMs >= toMs) return;
    position += from.signed();
    const size = from.whole();
    const topicId = from.whole();
    const queueId = from.whole();
    const tagHash = from.u32();
    const groupHash = from.u32();
    if (dueMs >= fromMs) into.put(position, dueMs, size, topicId, queueId, tagHash, groupHash);
  }
}

export function grown<A extends Uint8Array | Uint32Array | Float64Array>(array: A): A {
  const Kind = array.constructor as new (length: number) => A;
  const larger = new Kind(2 * array.length);
  larger.set(array);
  return larger;
}
