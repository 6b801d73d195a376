import type { QueueId, TopicId } from '@cometmq/model';

import { NameArena } from './name-arena.js';
import { SlotIndex } from './slot-index.js';

/**
 * Every lite topic: its parent's id, its name, its queue. A lite topic is a slot, and the columns are typed arrays; two
 * indexes find a slot by (parent, name) and by (parent, queue). Slots are given again after a removal.
 */
export class LiteTopicTable {
  /** 0: the slot is free, and `queues` says which is the next free one, counted from 1. */
  private parents = new Uint32Array(64);
  private queues = new Uint32Array(64);
  private hashes = new Uint32Array(64);
  private nameAts = new Uint32Array(64);
  private nameLengths = new Uint8Array(64);
  private names = new NameArena();
  private readonly byName = new SlotIndex((slot) => this.hashes[slot] as number);
  private readonly byQueue = new SlotIndex((slot) => mix(this.parents[slot] as number, this.queues[slot] as number));
  private used = 0;
  private freeHead = 0;
  private free = 0;

  /** One above the highest slot. */
  get end(): number {
    return this.used;
  }
  get size(): number {
    return this.used - this.free;
  }
  isFree(slot: number): boolean {
    return this.parents[slot] === 0;
  }
  parentOf(slot: number): TopicId {
    return this.parents[slot] as TopicId;
  }
  queueOf(slot: number): QueueId {
    return this.queues[slot] as QueueId;
  }
  nameOf(slot: number): string {
    return this.names.text(this.nameAts[slot] as number, this.nameLengths[slot] as number);
  }
  nameStartsWith(slot: number, prefix: string): boolean {
    return this.names.startsWith(this.nameAts[slot] as number, this.nameLengths[slot] as number, prefix);
  }

  /** The slot; -1: there is no such lite topic. */
  find(parent: TopicId, name: string): number {
    const hash = hashOf(parent, name);
    for (let cell = this.byName.begin(hash); ; cell = this.byName.after(cell)) {
      const slot = this.byName.at(cell);
      if (slot < 0) return -1;
      if (this.hashes[slot] !== hash || this.parents[slot] !== parent) continue;
      if (this.names.equals(this.nameAts[slot] as number, this.nameLengths[slot] as number, name)) return slot;
    }
  }

  findQueue(parent: TopicId, queue: QueueId): number {
    for (let cell = this.byQueue.begin(mix(parent, queue)); ; cell = this.byQueue.after(cell)) {
      const slot = this.byQueue.at(cell);
      if (slot < 0 || (this.queues[slot] === queue && this.parents[slot] === parent)) return slot;
    }
  }

  /** Neither the name nor the queue may be there. */
  add(parent: TopicId, name: string, queue: QueueId): number {
    let slot = this.freeHead - 1;
    if (slot >= 0) {
      this.freeHead = this.queues[slot] as number;
      this.free -= 1;
    } else {
      slot = this.used;
      this.used += 1;
      if (slot === this.parents.length) this.grow();
    }
    this.parents[slot] = parent;
    this.queues[slot] = queue;
    this.hashes[slot] = hashOf(parent, name);
    this.nameAts[slot] = this.names.add(name);
    this.nameLengths[slot] = name.length;
    this.byName.add(slot);
    this.byQueue.add(slot);
    return slot;
  }

  remove(slot: number): void {
    this.byName.remove(slot);
    this.byQueue.remove(slot);
    this.names.drop(this.nameLengths[slot] as number);
    this.parents[slot] = 0;
    this.queues[slot] = this.freeHead;
    this.freeHead = slot + 1;
    this.free += 1;
    if (this.names.garbage > garbageBytesMin && this.names.garbage > this.names.bytes) this.moveNames();
  }

  private moveNames(): void {
    const names = new NameArena();
    for (let slot = 0; slot < this.used; slot += 1) {
      if (this.parents[slot] === 0) continue;
      this.nameAts[slot] = this.names.moveTo(names, this.nameAts[slot] as number, this.nameLengths[slot] as number);
    }
    this.names = names;
  }

  private grow(): void {
    this.parents = grown(this.parents);
    this.queues = grown(this.queues);
    this.hashes = grown(this.hashes);
    this.nameAts = grown(this.nameAts);
    const lengths = new Uint8Array(2 * this.nameLengths.length);
    lengths.set(this.nameLengths);
    this.nameLengths = lengths;
  }
}

const garbageBytesMin = 64 * 1024;

function hashOf(parent: number, name: string): number {
  let hash = 0x811c9dc5 ^ parent;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return mix(hash, name.length);
}

function mix(a: number, b: number): number {
  let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}
