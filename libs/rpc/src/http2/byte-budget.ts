/** A count of bytes held that never passes its limit; a part of a larger one, if there is a larger one. */
export class ByteBudget {
  private held = 0;

  constructor(
    private readonly bytesMax: number,
    private readonly whole?: ByteBudget,
  ) {}

  get bytes(): number {
    return this.held;
  }

  /** False, and nothing is taken, if there is not so much left here or in the whole. */
  take(bytes: number): boolean {
    if (this.held + bytes > this.bytesMax) return false;
    if (this.whole !== undefined && !this.whole.take(bytes)) return false;
    this.held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.held -= bytes;
    this.whole?.give(bytes);
  }
}
