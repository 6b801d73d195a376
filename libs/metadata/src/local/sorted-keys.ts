/**
 * The keys of a store in their order, so that those with a prefix are next to one another. Finding them is halving; a new key
 * moves those behind it, which is a copy of memory: 100,000 keys are 800 KB.
 */
export class SortedKeys {
  private readonly keys: string[];

  /** @param keys each once */
  constructor(keys: Iterable<string>) {
    this.keys = [...keys].sort((one, other) => (one < other ? -1 : 1));
  }

  /** One that is not there. */
  add(key: string): void {
    this.keys.splice(this.placeOf(key), 0, key);
  }

  delete(key: string): void {
    const at = this.placeOf(key);
    if (this.keys[at] === key) this.keys.splice(at, 1);
  }

  /** In their order. */
  *below(prefix: string): Iterable<string> {
    for (let at = this.placeOf(prefix); at < this.keys.length; at += 1) {
      const key = this.keys[at] as string;
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  /** Of the first key that is not less. */
  private placeOf(key: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
