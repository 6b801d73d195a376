import { arch, cpus, loadavg, platform, release } from 'node:os';

import type { Bench, Figure } from './bench.js';

export interface BenchReport {
  readonly name: string;
  readonly about: string;
  readonly seconds: number;
  readonly figures: readonly (Figure & { readonly met?: boolean })[];
  /** Why there are no figures. */
  readonly failed?: string;
}

export interface Report {
  readonly at: string;
  readonly quick: boolean;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly system: string;
    readonly node: string;
    readonly load: number;
  };
  readonly benches: readonly BenchReport[];
}

export function machineNow(): Report['machine'] {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    load: loadavg()[0] ?? 0,
  };
}

export function reportOf(bench: Bench, seconds: number, figures: readonly Figure[]): BenchReport {
  const { name, about } = bench;
  return { name, about, seconds, figures: figures.map((figure) => ({ ...figure, ...metOf(figure) })) };
}

function metOf({ value, atLeast, atMost }: Figure): { met?: boolean } {
  if (atLeast === undefined && atMost === undefined) return {};
  return { met: value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity) };
}

/** A table a bench: what, how much, the target, whether it is met. */
export function tableOf({ name, about, figures, failed, seconds }: BenchReport): string {
  const head = `${name}: ${about} (${seconds.toFixed(0)} s)`;
  if (failed !== undefined) return `${head}\n  FAILED: ${failed}`;
  const rows = figures.map((figure) => [
    figure.what,
    numberOf(figure.value),
    figure.unit,
    figure.atLeast !== undefined
      ? `≥ ${numberOf(figure.atLeast)}`
      : figure.atMost !== undefined
        ? `≤ ${numberOf(figure.atMost)}`
        : '',
    figure.met === undefined ? '' : figure.met ? 'met' : 'MISSED',
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map(([what = '', value = '', unit = '', target = '', met = '']) =>
    `  ${what.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)} ${unit.padEnd(widths[2] ?? 0)}  ${target.padEnd(widths[3] ?? 0)}  ${met}`.trimEnd(),
  );
  return [head, ...lines].join('\n');
}

function numberOf(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
