/** Names of the connections that answers went out on, as long as a lease remembers one. 0: not known. */
export class LeaseConnections {
  private readonly byName = new Map<string, number>();
  private readonly names: (string | undefined)[] = [undefined];
  private readonly counts: number[] = [0];
  private readonly free: number[] = [];

  take(name: string): number {
    let index = this.byName.get(name);
    if (index === undefined) {
      index = this.free.pop() ?? this.names.length;
      this.byName.set(name, index);
      this.names[index] = name;
      this.counts[index] = 0;
    }
    this.counts[index] = (this.counts[index] as number) + 1;
    return index;
  }

  release(index: number): void {
    if (index === 0) return;
    const left = (this.counts[index] as number) - 1;
    this.counts[index] = left;
    if (left > 0) return;
    this.byName.delete(this.names[index] as string);
    this.names[index] = undefined;
    this.free.push(index);
  }

  /** Undefined: not known. */
  nameOf(index: number): string | undefined {
    return this.names[index];
  }
}
