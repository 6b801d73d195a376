/** The keys that were added last: half of so many at least, and never more. */
export class RecentKeys {
  private now = new Set<string>();
  private before = new Set<string>();

  constructor(private readonly keysMax: number) {}

  has(key: string): boolean {
    return this.now.has(key) || this.before.has(key);
  }

  add(key: string): void {
    if (this.now.size >= this.keysMax / 2) {
      this.before = this.now;
      this.now = new Set();
    }
    this.now.add(key);
  }

  delete(key: string): void {
    this.now.delete(key);
    this.before.delete(key);
  }
}
