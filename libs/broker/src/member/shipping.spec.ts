import type { LogBytes } from '@cometmq/client';
import type { LogPosition } from '@cometmq/model';
import { MqError, Prng, assert } from '@cometmq/shared';

import { Shipping, type Shipment, type ShippedLog, type ShipTo } from './shipping.js';

const at = (position: number): LogPosition => position as LogPosition;
const limits = { windowBytes: 200, messageBytes: 60 };
/** What the log keeps in memory, beside what is not durable. */
const memoryBytes = 150;
const recordBytes = 10;

/** A log whose n-th byte is n, in records of ten bytes. */
class ScriptedLog implements ShippedLog {
  appendEnd = at(0);
  durableEnd = at(0);
  oldest = at(0);
  watchers = 0;
  reads = 0;
  failure: MqError | undefined;
  private readonly listeners = new Set<(end: LogPosition) => void>();
  private readonly lent: Uint8Array[] = [];
  private pending: (() => void)[] = [];

  onCut(listener: (end: LogPosition) => void): () => void {
    this.listeners.add(listener);
    this.watchers += 1;
    return () => {
      if (this.listeners.delete(listener)) this.watchers -= 1;
    };
  }
  peekCut(from: LogPosition, bytesMax: number): LogBytes | undefined {
    const inMemory = Math.min(this.durableEnd, Math.max(0, this.appendEnd - memoryBytes));
    if (from < inMemory || from === this.appendEnd) return undefined;
    const end = at(Math.min(this.appendEnd, from + Math.max(recordBytes, bytesMax)));
    const half = from + Math.floor((end - from) / recordBytes / 2) * recordBytes;
    const pieces = [bytesOf(from, half), bytesOf(half, end)];
    this.lent.push(...pieces);
    return { from, end, pieces };
  }
  /** The turn of the event loop is over. */
  takeBack(): void {
    for (const piece of this.lent.splice(0)) piece.fill(255);
  }
  readBytes(from: LogPosition, bytesMax: number): Promise<Uint8Array | undefined> {
    this.reads += 1;
    return new Promise((resolve, reject) => {
      this.pending.push(() => {
        if (this.failure) reject(this.failure);
        else if (from < this.oldest) resolve(undefined);
        else resolve(bytesOf(from, Math.min(this.durableEnd, from + Math.max(recordBytes, bytesMax))));
      });
    });
  }

  /** A batch sets out for the disk. */
  cut(records: number): void {
    const from = this.appendEnd;
    this.appendEnd = at(from + records * recordBytes);
    for (const listener of this.listeners) listener(this.appendEnd);
    this.takeBack();
  }

  sync(): void {
    this.durableEnd = this.appendEnd;
  }

  async finishReads(): Promise<void> {
    const acts = this.pending;
    this.pending = [];
    for (const act of acts) act();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function bytesOf(from: number, end: number): Uint8Array {
  return Uint8Array.from({ length: end - from }, (_, i) => (from + i) % 251);
}

class Follower implements ShipTo {
  hasRoom = true;
  got: LogPosition;
  acked: LogPosition;
  readonly batches: LogBytes[] = [];
  needs: LogPosition | undefined;
  error: MqError | undefined;
  shipment!: Shipment;

  constructor(from: number) {
    this.got = this.acked = at(from);
  }

  batch(bytes: LogBytes): void {
    assert(bytes.from === this.got, 'each byte comes once, in order');
    const right = Buffer.from(bytesOf(bytes.from, bytes.end));
    assert(Buffer.concat(bytes.pieces).equals(right), 'bytes are those of the log');
    // What was being read when the network had enough is sent all the same.
    assert(this.hasRoom || bytes.pieces.length === 1, 'nothing more is sent than the network takes');
    assert(this.got - this.acked < limits.windowBytes, 'nothing more is sent than the window');
    this.got = bytes.end;
    this.batches.push(bytes);
  }
  snapshotNeeded(oldest: LogPosition): void {
    this.needs = oldest;
  }
  failed(error: MqError): void {
    this.error = error;
  }
  ack(): void {
    this.acked = this.got;
    this.shipment.ack(this.acked);
  }
}

const begun = (shipping: Shipping, from: number): Follower => {
  const follower = new Follower(from);
  follower.shipment = shipping.begin(at(from), follower);
  return follower;
};

describe('Shipping', () => {
  it('sends what was cut before anybody followed at once, and does not wait for the disk', () => {
    const log = new ScriptedLog();
    const shipping = new Shipping(log, limits);
    log.cut(10);
    expect(begun(shipping, 0)).toMatchObject({ got: 100 });
    expect(log).toMatchObject({ durableEnd: 0, reads: 0 });
    shipping.end();
    expect(log.watchers).toBe(0);
  });

  it('hands each batch to all who have what is before it, as it sets out for the disk', () => {
    const log = new ScriptedLog();
    const shipping = new Shipping(log, limits);
    const followers = [begun(shipping, 0), begun(shipping, 0)];
    log.cut(3);
    log.cut(1);
    for (const { batches } of followers) expect(batches.map(({ end }) => end)).toEqual([30, 40]);
    expect(log).toMatchObject({ durableEnd: 0, reads: 0 });
  });

  it('sends what has gathered while there was no room in few messages', () => {
    const log = new ScriptedLog();
    const follower = begun(new Shipping(log, limits), 0);
    follower.hasRoom = false;
    for (let i = 0; i < 12; i += 1) log.cut(1);
    follower.hasRoom = true;
    follower.shipment.drained();
    expect(follower.batches.map(({ end }) => end)).toEqual([60, 120]);
  });

  it('watches nothing while nobody follows, however many come and go', () => {
    const log = new ScriptedLog();
    const shipping = new Shipping(log, limits); // For somebody who comes.
    for (let i = 0; i < 50; i += 1) {
      const one = begun(shipping, 0);
      const other = begun(shipping, 0);
      expect(log.watchers).toBe(1);
      one.shipment.end();
      other.shipment.end();
      other.shipment.end();
      expect(log.watchers).toBe(0);
    }
  });

  it('sends no more than the window to who does not acknowledge, and keeps little for it', async () => {
    const log = new ScriptedLog();
    const shipping = new Shipping(log, limits);
    const follower = begun(shipping, 0);
    for (let i = 0; i < 100; i += 1) {
      log.cut(3);
      log.sync();
    }
    expect(follower.got).toBe(210); // One message over it, as it may be larger than the window.
    follower.ack();
    for (let i = 0; i < 100 && follower.got < log.appendEnd; i += 1) {
      await log.finishReads();
      follower.ack();
    }
    expect(follower.got).toBe(log.appendEnd);
    const { reads } = log;
    expect(reads).toBeGreaterThan(30); // What was not kept came from the disk.
    log.cut(1);
    expect(follower.got).toBe(log.appendEnd);
    expect(log.reads).toBe(reads);
  });

  it('does not believe an acknowledgement of what was never sent', () => {
    const log = new ScriptedLog();
    const follower = begun(new Shipping(log, limits), 0);
    log.cut(2);
    log.sync();
    expect(() => follower.shipment.ack(at(21))).toThrow(MqError);
  });

  it('says that a snapshot is needed where the log is gone, and that it is damaged', async () => {
    const log = new ScriptedLog();
    log.cut(30);
    log.sync();
    log.oldest = at(50);
    const shipping = new Shipping(log, limits);
    const far = begun(shipping, 10);
    await log.finishReads();
    expect(far.needs).toBe(50);
    log.failure = new MqError('CORRUPT_RECORD', 'damaged');
    const near = begun(shipping, 60);
    await log.finishReads();
    expect(near.error?.code).toBe('CORRUPT_RECORD');
    expect(log.watchers).toBe(0);
  });

  // Goal: whatever the order of events, each follower gets the log without a gap, and within its window (see Follower).
  it.each(Array.from({ length: 100 }, (_, seed) => seed))('ships all to everyone (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const log = new ScriptedLog();
    const shipping = new Shipping(log, limits);
    for (let i = chance.below(4); i > 0; i -= 1) log.cut(1 + chance.below(9));
    if (chance.chance(0.5)) log.sync();
    const followers = Array.from({ length: 1 + chance.below(3) }, () =>
      begun(shipping, chance.below(log.durableEnd / recordBytes + 1) * recordBytes),
    );
    const someone = (): Follower => followers[chance.below(followers.length)] as Follower;
    const acts: (() => void | Promise<void>)[] = [
      () => void log.cut(1 + chance.below(9)),
      () => log.sync(),
      () => log.finishReads(),
      () => someone().ack(),
      () => void (someone().hasRoom = false),
      () => {
        const follower = someone();
        follower.hasRoom = true;
        follower.shipment.drained();
      },
      () => {
        const i = chance.below(followers.length);
        followers[i]?.shipment.end();
        followers[i] = begun(shipping, followers[i]?.acked ?? 0);
      },
    ];
    // The leader's log has one batch on its way to the disk at a time.
    for (let i = 0; i < 300; i += 1) {
      const act = chance.below(acts.length);
      if (act === 0 && log.durableEnd < log.appendEnd) log.sync();
      await acts[act]?.();
    }
    log.sync();
    for (const each of followers) each.hasRoom = true;
    for (let i = 0; i < 400; i += 1) {
      for (const each of followers) {
        each.shipment.drained();
        each.ack();
      }
      await log.finishReads();
    }
    for (const each of followers) expect(each.got).toBe(log.appendEnd);
  });
});
