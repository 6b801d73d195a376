/**
 * Numbers queues: (topic id, queue id) → a small number, 0 and up: the lowest that is free. Open addressing over typed arrays, so that a million queues cost tens of bytes each and a look-up some
 * nanoseconds; a `Map` would need an object or a string for every look-up, as the pair does not fit one number.
 */
export class QueueTable {
  /** Slot → number + 1; 0: free. A power of two of slots, at most half of them taken. */
  private slots = new Uint32Array(64);
  private topics = new Uint32Array(32);
  private queues = new Uint32Array(32);
  /** By number: 1 when it is given. */
  private given = new Uint8Array(32);
  /** One above the highest number ever given. */
  private used = 0;
  private count = 0;
  /** No number below it is free. */
  private lowest = 0;
  private lastTopic = 0;
  private lastQueue = 0;
  private lastNumber = -1;

  /** One above the highest number given out. */
  get end(): number {
    return this.used;
  }
  get size(): number {
    return this.count;
  }
  /** Whether some queue has the number. */
  has(number: number): boolean {
    return this.given[number] === 1;
  }
  /** The number that the next queue gets. */
  get next(): number {
    if (this.count === this.used) return this.used;
    const free = this.given.indexOf(0, this.lowest);
    this.lowest = free;
    return free;
  }
  topicOf(number: number): number {
    return this.topics[number] as number;
  }
  queueOf(number: number): number {
    return this.queues[number] as number;
  }

  /** The queue's number, or -1. */
  find(topicId: number, queueId: number): number {
    if (this.lastNumber >= 0 && this.lastTopic === topicId && this.lastQueue === queueId) return this.lastNumber;
    const mask = this.slots.length - 1;
    for (let at = hash(topicId, queueId) & mask; ; at = (at + 1) & mask) {
      const number = (this.slots[at] as number) - 1;
      if (number < 0) return -1;
      if (this.topics[number] === topicId && this.queues[number] === queueId) {
        this.lastTopic = topicId;
        this.lastQueue = queueId;
        this.lastNumber = number;
        return number;
      }
    }
  }

  /** Gives a queue that is not in the table its number. */
  add(topicId: number, queueId: number): number {
    const number = this.next;
    this.put(number, topicId, queueId);
    return number;
  }

  /** Gives a queue that is not in the table a number that is free. */
  put(number: number, topicId: number, queueId: number): void {
    while (number >= this.topics.length) {
      this.topics = grown(this.topics);
      this.queues = grown(this.queues);
      this.given = grown(this.given);
    }
    this.topics[number] = topicId;
    this.queues[number] = queueId;
    this.given[number] = 1;
    this.count += 1;
    this.used = Math.max(this.used, number + 1);
    if (this.count * 2 > this.slots.length) this.rehash(number);
    this.insert(number);
  }

  remove(topicId: number, queueId: number): void {
    const mask = this.slots.length - 1;
    const number = this.find(topicId, queueId);
    if (number < 0) return;
    this.lastNumber = -1;
    let hole = hash(topicId, queueId) & mask;
    while (this.slots[hole] !== number + 1) hole = (hole + 1) & mask;
    // What stands behind moves up, so that no search ends early at the hole.
    for (let at = (hole + 1) & mask; this.slots[at] !== 0; at = (at + 1) & mask) {
      const other = (this.slots[at] as number) - 1;
      const home = hash(this.topics[other] as number, this.queues[other] as number) & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        this.slots[hole] = other + 1;
        hole = at;
      }
    }
    this.slots[hole] = 0;
    this.given[number] = 0;
    this.count -= 1;
    this.lowest = Math.min(this.lowest, number);
  }

  clear(): void {
    this.slots = new Uint32Array(64);
    this.given = new Uint8Array(32);
    this.topics = new Uint32Array(32);
    this.queues = new Uint32Array(32);
    this.used = 0;
    this.count = 0;
    this.lowest = 0;
    this.lastNumber = -1;
  }

  private insert(number: number): void {
    const mask = this.slots.length - 1;
    let at = hash(this.topics[number] as number, this.queues[number] as number) & mask;
    while (this.slots[at] !== 0) at = (at + 1) & mask;
    this.slots[at] = number + 1;
  }

  private rehash(except: number): void {
    const old = this.slots;
    this.slots = new Uint32Array(old.length * 2);
    for (const slot of old) if (slot !== 0 && slot - 1 !== except) this.insert(slot - 1);
  }
}

function hash(topicId: number, queueId: number): number {
  let h = Math.imul(topicId, 0x9e3779b1) ^ Math.imul(queueId, 0x85ebca77);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return h ^ (h >>> 13);
}

/** Twice as long, same contents. */
export function grown<A extends Uint8Array | Uint32Array | Float64Array>(array: A): A {
  const Kind = array.constructor as new (length: number) => A;
  const bigger = new Kind(array.length * 2);
  bigger.set(array);
  return bigger;
}
