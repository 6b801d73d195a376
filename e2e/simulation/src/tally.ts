/** How often what happened, over all seeds of a run: a fault that never comes, or a path that is never taken, proves nothing. */

const faultKinds = [
  ...(['power', 'kill', 'start', 'stop', 'pause', 'resume', 'cut', 'slow', 'break', 'heal', 'jump'] as const),
  ...(['hang', 'slow disk', 'flip', 'flip file', 'sync fails', 'disk full', 'namesrv'] as const),
  ...(['etcd away', 'etcd loses an answer', 'etcd tells watches nothing', 'etcd set back'] as const),
];
export type FaultKind = (typeof faultKinds)[number];

/** What faults did to those who met them: a disk that hangs while nobody writes proves nothing either. */
const effects = [
  'a write hung, and was made afterwards',
  'a write was made, and its answer hung',
  'a disk was slow',
  'a sync failed',
  'a disk was full',
  'a message was held up by a line that was cut',
  'a message took longer on a slow line',
  'a connection was lost',
  'etcd did not answer',
  'an answer of etcd was lost',
  'a watch of etcd missed something',
  'what was not synced was lost with the power',
  'damage was found where something was read',
  'damage was found at a start',
  'a damaged segment was made anew',
  'damaged records were taken of another member',
] as const;
export type Effect = (typeof effects)[number];

/** What members say of effects. */
const told: Readonly<Record<string, Effect | undefined>> = {
  'part of the log is lost': 'damage was found where something was read',
  'the data folder is damaged: what is lost is taken of another member': 'damage was found at a start',
  'damaged records of the log were taken of another member': 'damaged records were taken of another member',
  'a damaged segment was mended from another member': 'a damaged segment was made anew',
};

export class Tally {
  private readonly faults = new Map<FaultKind, number>(faultKinds.map((kind) => [kind, 0]));
  private readonly effects = new Map<Effect, number>(effects.map((effect) => [effect, 0]));
  private readonly paths = new Map<string, number>();

  /** One that changed something: who is down already is not killed. */
  fault(kind: FaultKind): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }
  /** One that somebody met. */
  effect(effect: Effect, count = 1): void {
    this.effects.set(effect, (this.effects.get(effect) ?? 0) + count);
  }
  /** What a role says of what it does. */
  path(said: string): void {
    const effect = told[said];
    if (effect) this.effect(effect);
    this.paths.set(said, (this.paths.get(said) ?? 0) + 1);
  }

  /** Faults that never came, and effects that nobody met. */
  get missing(): (FaultKind | Effect)[] {
    const never = <Name>(counts: ReadonlyMap<Name, number>): Name[] =>
      [...counts].filter(([, count]) => count === 0).map(([name]) => name);
    return [...never(this.faults), ...never(this.effects)];
  }

  /** For people: faults and effects as they are listed, then what the roles said, the most often first. */
  table(): string {
    const lines = (counts: Iterable<readonly [string, number]>): string =>
      [...counts].map(([what, count]) => `${String(count).padStart(8)}  ${what}\n`).join('');
    const paths = [...this.paths].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return (
      `faults:\n${lines(this.faults)}what came of them:\n${lines(this.effects)}` +
      `what the members said:\n${lines(paths)}`
    );
  }
}
