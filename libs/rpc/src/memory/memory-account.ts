/**
 * Bytes held for callers, counted where they add up: a call's in its connection's account, that one's in its address's,
 * and all in the server's.
 *
 * `take` asks first; `add` is for what is here already and can't be refused. Who holds nothing may always take, however much, as far as its own level goes: a message above the
 * bound would otherwise never pass.
 */
export class MemoryAccount {
  private held = 0;

  constructor(
    private readonly bytesMax: number,
    private readonly whole?: MemoryAccount,
    private readonly given?: () => void,
  ) {}

  get bytes(): number {
    return this.held;
  }

  /** No more should be begun that isn't asked for. */
  get full(): boolean {
    return this.held >= this.bytesMax || this.whole?.full === true;
  }

  fits(bytes: number): boolean {
    if (this.held > 0 && this.held + bytes > this.bytesMax) return false;
    return this.whole === undefined || this.whole.fits(bytes);
  }

  /** False, and nothing is taken, where it does not fit here or in the whole. */
  take(bytes: number): boolean {
    if (!this.fits(bytes)) return false;
    this.add(bytes);
    return true;
  }

  add(bytes: number): void {
    this.held += bytes;
    this.whole?.add(bytes);
  }

  give(bytes: number): void {
    if (bytes === 0) return;
    this.held -= bytes;
    this.whole?.give(bytes);
    this.given?.();
  }
}
