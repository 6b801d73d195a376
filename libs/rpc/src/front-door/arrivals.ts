/**
 * The pings of a connection, and who waits to hear that what was written on a connection has arrived. The only proof is an answer from the far end to a
 * question sent behind it: a ping. One ping at a time serves all that was written before it; what is written while it is
 * out waits for the next one. Its eight bytes are a mark and a count.
 *
 * A caller whose deadline passes while the last of its answer is on the way resets the stream and throws the answer away.
 * Frames keep their order, so such a reset comes before the answer to the ping.
 *
 * A ping also asks whether anybody is there at all, with nobody waiting.
 */
interface Arrival {
  readonly streamId: number;
  readonly tell: (arrived: boolean) => void;
}

const mark = 0x61727231;

export class Arrivals {
  private askedMs: number | undefined;
  private waiting: Arrival[] = [];
  /** A ping is out for them. */
  private asked: Arrival[] = [];
  private count = 0;

  /** How many wait. */
  get size(): number {
    return this.waiting.length + this.asked.length;
  }

  get wantPing(): boolean {
    return this.waiting.length > 0 && this.askedMs === undefined;
  }

  /** Since when a ping is out. */
  get outSinceMs(): number | undefined {
    return this.askedMs;
  }

  /** All that it is about has been written. */
  add(streamId: number, tell: (arrived: boolean) => void): void {
    this.waiting.push({ streamId, tell });
  }

  /** The caller gave the stream up before it had all of it, if anybody still waits to hear. */
  reset(streamId: number): void {
    const given = this.asked.find((each) => each.streamId === streamId);
    const kept = given ?? this.waiting.find((each) => each.streamId === streamId);
    if (!kept) return;
    if (given)
      this.asked[this.asked.indexOf(kept)] = { streamId: 0, tell: () => undefined }; // Its ping is still out.
    else this.waiting.splice(this.waiting.indexOf(kept), 1);
    kept.tell(false);
  }

  /** The payload of a ping, which goes out behind all that was written so far. */
  ask(nowMs: number): Buffer {
    this.askedMs = nowMs;
    const payload = Buffer.allocUnsafe(8);
    this.count = (this.count + 1) >>> 0;
    payload.writeUInt32BE(mark, 0);
    payload.writeUInt32BE(this.count, 4);
    this.asked = this.waiting;
    this.waiting = [];
    return payload;
  }

  /** False: no such ping is out. */
  answered(payload: Buffer, from: number): boolean {
    if (this.askedMs === undefined) return false;
    if (payload.readUInt32BE(from) !== mark || payload.readUInt32BE(from + 4) !== this.count) return false;
    const asked = this.asked;
    this.asked = [];
    this.askedMs = undefined;
    for (const { tell } of asked) tell(true);
    return true;
  }

  /** The connection has ended: nothing more is heard. */
  lost(): void {
    const all = [...this.asked, ...this.waiting];
    this.asked = [];
    this.waiting = [];
    for (const { tell } of all) tell(false);
  }
}
