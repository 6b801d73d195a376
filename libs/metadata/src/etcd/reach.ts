/** Whether the store can be reached, told in one line when that changes and not again. */
export class Reach {
  private away = false;

  constructor(private readonly say: (line: string) => void) {}

  lost(reason: string): void {
    if (this.away) return;
    this.away = true;
    this.say(`${reason}; reads go on from memory, changes are refused until it is back`);
  }

  found(): void {
    if (!this.away) return;
    this.away = false;
    this.say('etcd answers again');
  }
}
