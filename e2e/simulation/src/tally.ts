/** How often what happened, over all seeds of a run: a fault that never comes, or a path that is never taken, proves nothing. */

const faultKinds = [
  ...(['power', 'kill', 'start', 'stop', 'pause', 'resume', 'cut', 'slow', 'break', 'heal', 'jump'] as const),
  ...(['hang', 'slow disk', 'namesrv'] as const),
  ...(['etcd away', 'etcd loses an answer', 'etcd tells watches nothing', 'etcd set back'] as const),
];
export type FaultKind = (typeof faultKinds)[number];

export class Tally {
  private readonly faults = new Map<FaultKind, number>(faultKinds.map((kind) => [kind, 0]));
  private readonly paths = new Map<string, number>();

  /** One that changed something: who is down already is not killed. */
  fault(kind: FaultKind): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }
  /** What a role says of what it does. */
  path(said: string): void {
    this.paths.set(said, (this.paths.get(said) ?? 0) + 1);
  }

  get missing(): FaultKind[] {
    return faultKinds.filter((kind) => this.faults.get(kind) === 0);
  }

  /** For people: the faults as they are listed, then what the roles said, the most often first. */
  table(): string {
    const line = ([what, count]: readonly [string, number]): string => `${String(count).padStart(8)}  ${what}\n`;
    const paths = [...this.paths].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return `faults:\n${[...this.faults].map(line).join('')}what the members said:\n${paths.map(line).join('')}`;
  }
}
