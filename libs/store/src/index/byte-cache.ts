/** Keeps what was used last, up to a number of bytes. An entry larger than all of it is kept alone. */
export class ByteCache<T> {
  private readonly entries = new Map<number, { readonly value: T; readonly bytes: number }>();
  private total = 0;

  constructor(private readonly bytesMax: number) {}

  get bytes(): number {
    return this.total;
  }

  get(key: number): T | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key); // To the young end.
    this.entries.set(key, entry);
    return entry.value;
  }

  set(key: number, value: T, bytes: number): void {
    this.delete(key);
    this.entries.set(key, { value, bytes });
    this.total += bytes;
    for (const [oldest, entry] of this.entries) {
      if (this.total <= this.bytesMax || oldest === key) break;
      this.entries.delete(oldest);
      this.total -= entry.bytes;
    }
  }

  delete(key: number): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.entries.delete(key);
    this.total -= entry.bytes;
  }
}
