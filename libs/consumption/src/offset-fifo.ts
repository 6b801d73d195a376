/** Offsets in the order they came. Old ones are dropped from the front; whoever looks further in finds stale ones. */
export class OffsetFifo {
  private list: number[] = [];
  private head = 0;

  get length(): number {
    return this.list.length - this.head;
  }

  at(index: number): number {
    return this.list[this.head + index] as number;
  }

  push(offset: number): void {
    this.list.push(offset);
  }

  shift(): void {
    this.head += 1;
    if (this.head >= 32 && 2 * this.head >= this.list.length) {
      this.list = this.list.slice(this.head);
      this.head = 0;
    }
  }

  /** Keeps only those that `keep` says. */
  sift(keep: (offset: number) => boolean): void {
    this.list = this.list.slice(this.head).filter(keep);
    this.head = 0;
  }
}
