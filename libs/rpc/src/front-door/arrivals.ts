/**
 * Who waits to hear that what was written on a connection has arrived. The only proof is an answer from the far end to a
 * question sent behind it: a ping. One ping at a time serves all that was written before it; what is written while it is
 * out waits for the next one. Its eight bytes are `arrived?` of this connection: a mark and a count.
 */
type Arrival = (arrived: boolean) => void;

const mark = 0x61727231;

export class Arrivals {
  private waiting: Arrival[] = [];
  /** A ping is out for them. */
  private asked: Arrival[] = [];
  private count = 0;

  /** How many wait. */
  get size(): number {
    return this.waiting.length + this.asked.length;
  }

  get wantPing(): boolean {
    return this.waiting.length > 0 && this.asked.length === 0;
  }

  /** All that it is about has been written. */
  add(arrival: Arrival): void {
    this.waiting.push(arrival);
  }

  /** Writes the payload of a ping, which goes out behind all that was written so far. */
  ask(into: Buffer, at: number): void {
    this.count = (this.count + 1) >>> 0;
    into.writeUInt32BE(mark, at);
    into.writeUInt32BE(this.count, at + 4);
    this.asked = this.waiting;
    this.waiting = [];
  }

  /** False: no such ping is out. */
  answered(payload: Buffer, from: number): boolean {
    if (this.asked.length === 0) return false;
    if (payload.readUInt32BE(from) !== mark || payload.readUInt32BE(from + 4) !== this.count) return false;
    const asked = this.asked;
    this.asked = [];
    for (const arrival of asked) arrival(true);
    return true;
  }

  /** The connection has ended: nothing more is heard. */
  lost(): void {
    const all = [...this.asked, ...this.waiting];
    this.asked = [];
    this.waiting = [];
    for (const arrival of all) arrival(false);
  }
}
