/**
 * Finds slots of a table by a hash of theirs: open addressing over one typed array, at most three quarters full, so some
 * seven bytes a slot. Who looks goes from cell to cell and compares for himself:
 *
 *   for (let cell = index.begin(hash); (slot = index.at(cell)) >= 0; cell = index.after(cell)) …
 */
export class SlotIndex {
  /** Slot + 1; 0: free. A power of two of cells. */
  private cells = new Uint32Array(64);
  private count = 0;

  constructor(private readonly hashOf: (slot: number) => number) {}

  begin(hash: number): number {
    return hash & (this.cells.length - 1);
  }

  /** -1: the search is over. */
  at(cell: number): number {
    return (this.cells[cell] as number) - 1;
  }

  after(cell: number): number {
    return (cell + 1) & (this.cells.length - 1);
  }

  add(slot: number): void {
    this.count += 1;
    if (this.count * 4 > this.cells.length * 3) this.grow();
    this.put(slot);
  }

  remove(slot: number): void {
    const mask = this.cells.length - 1;
    let hole = this.hashOf(slot) & mask;
    while (this.cells[hole] !== slot + 1) hole = (hole + 1) & mask;
    // What was pushed past the hole moves back into it, so that no search ends too early.
    for (let cell = (hole + 1) & mask; this.cells[cell] !== 0; cell = (cell + 1) & mask) {
      const home = this.hashOf((this.cells[cell] as number) - 1) & mask;
      if (((cell - home) & mask) < ((cell - hole) & mask)) continue;
      this.cells[hole] = this.cells[cell] as number;
      hole = cell;
    }
    this.cells[hole] = 0;
    this.count -= 1;
  }

  private put(slot: number): void {
    let cell = this.begin(this.hashOf(slot));
    while (this.cells[cell] !== 0) cell = this.after(cell);
    this.cells[cell] = slot + 1;
  }

  private grow(): void {
    const old = this.cells;
    this.cells = new Uint32Array(2 * old.length);
    for (const entry of old) if (entry !== 0) this.put(entry - 1);
  }
}
