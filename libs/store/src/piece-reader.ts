import { MqError } from '@cometmq/shared';

/** Takes bytes from a row of pieces, however they were cut. */
export class PieceReader {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private piece: Uint8Array = new Uint8Array(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.pieces = pieces[Symbol.asyncIterator]();
  }

  /** Whether anything follows. */
  async hasMore(): Promise<boolean> {
    while (this.piece.byteLength === 0) {
      const next = await this.pieces.next();
      if (next.done === true) return false;
      this.piece = next.value;
    }
    return true;
  }

  /** The next bytes, `max` at the most. @throws MqError CORRUPT_RECORD at the end */
  async next(max: number): Promise<Uint8Array> {
    if (!(await this.hasMore()))
      throw new MqError('CORRUPT_RECORD', 'what was received is not whole: it ends too early');
    const taken = this.piece.subarray(0, max);
    this.piece = this.piece.subarray(taken.byteLength);
    return taken;
  }

  async exactly(bytes: number): Promise<Uint8Array> {
    const whole = new Uint8Array(bytes);
    for (let at = 0; at < bytes;) {
      const taken = await this.next(bytes - at);
      whole.set(taken, at);
      at += taken.byteLength;
    }
    return whole;
  }

  /** @throws MqError CORRUPT_RECORD where more follows */
  async end(): Promise<void> {
    if (await this.hasMore()) {
      throw new MqError('CORRUPT_RECORD', 'what was received is not whole: more follows than was told');
    }
  }

  /** Whoever sends need not go on. */
  async cancel(): Promise<void> {
    await this.pieces.return?.();
  }
}
