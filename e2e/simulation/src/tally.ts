/** How often what happened, over all seeds of a run: a fault that never comes, or a path that is never taken, proves nothing. */
import { type FaultKind, faultKinds, type Workload, workloads } from './kinds.js';

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

/** All that a tally has counted, as it goes from one process to another. */
export type TallyCounts = Readonly<
  Record<'faults' | 'effects' | 'sent' | 'paths', readonly (readonly [string, number])[]>
>;

export class Tally {
  private readonly faults = new Map<FaultKind, number>(faultKinds.map((kind) => [kind, 0]));
  private readonly effects = new Map<Effect, number>(effects.map((effect) => [effect, 0]));
  /** Messages that were acknowledged. */
  private readonly sent = new Map<Workload, number>(workloads.map((workload) => [workload, 0]));
  private readonly paths = new Map<string, number>();

  acknowledged(workload: Workload): void {
    this.sent.set(workload, (this.sent.get(workload) ?? 0) + 1);
  }
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

  counts(): TallyCounts {
    const { faults, effects, sent, paths } = this;
    return { faults: [...faults], effects: [...effects], sent: [...sent], paths: [...paths] };
  }
  /** What another one has counted. */
  add(counts: TallyCounts): void {
    const { faults, effects, sent, paths } = this;
    const into: Readonly<Record<keyof TallyCounts, Map<string, number>>> = { faults, effects, sent, paths };
    for (const what of ['faults', 'effects', 'sent', 'paths'] as const) {
      for (const [name, count] of counts[what]) into[what].set(name, (into[what].get(name) ?? 0) + count);
    }
  }

  get faultCount(): number {
    return sum(this.faults);
  }
  get sentCount(): number {
    return sum(this.sent);
  }

  /** Faults that never came, effects that nobody met, and workloads that nobody had. */
  get missing(): (FaultKind | Effect | Workload)[] {
    const never = <Name>(counts: ReadonlyMap<Name, number>): Name[] =>
      [...counts].filter(([, count]) => count === 0).map(([name]) => name);
    return [...never(this.faults), ...never(this.effects), ...never(this.sent)];
  }

  /** For people: faults and effects as they are listed, then what the roles said, the most often first. */
  table(): string {
    const lines = (counts: Iterable<readonly [string, number]>): string =>
      [...counts].map(([what, count]) => `${String(count).padStart(8)}  ${what}\n`).join('');
    const paths = [...this.paths].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return (
      `faults:\n${lines(this.faults)}what came of them:\n${lines(this.effects)}` +
      `messages that were acknowledged, by topic:\n${lines(this.sent)}` +
      `what the members said:\n${lines(paths)}`
    );
  }
}

const sum = (counts: ReadonlyMap<unknown, number>): number =>
  [...counts.values()].reduce((all, count) => all + count, 0);
