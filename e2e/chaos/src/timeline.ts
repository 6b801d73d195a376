/**
 * A run as a picture: for each slice of time how many sends were answered and how long the slowest of them took, and above
 * it what struck when. Plain SVG, so that it can stand beside its report.
 */
export interface TimelineStrike {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Answers in slices of time, for as long as a run may be: slices are doubled rather than kept without end. */
export class Slices {
  sliceMs = 250;
  private counts: number[] = [];
  private slowest: number[] = [];
  private failures: number[] = [];

  constructor(private readonly countMax = 2_400) {}

  add(atMs: number, tookMs: number, ok: boolean): void {
    let slice = Math.floor(atMs / this.sliceMs);
    while (slice >= this.countMax) {
      this.halve();
      slice = Math.floor(atMs / this.sliceMs);
    }
    this.counts[slice] = (this.counts[slice] ?? 0) + (ok ? 1 : 0);
    this.failures[slice] = (this.failures[slice] ?? 0) + (ok ? 0 : 1);
    this.slowest[slice] = Math.max(this.slowest[slice] ?? 0, tookMs);
  }

  get rows(): {
    readonly atMs: number;
    readonly answered: number;
    readonly slowestMs: number;
    readonly failed: number;
  }[] {
    return Array.from({ length: this.counts.length }, (_, i) => ({
      atMs: i * this.sliceMs,
      answered: this.counts[i] ?? 0,
      slowestMs: this.slowest[i] ?? 0,
      failed: this.failures[i] ?? 0,
    }));
  }

  private halve(): void {
    const pairs = Math.ceil(this.counts.length / 2);
    const merged = (list: readonly number[], of: (one: number, other: number) => number): number[] =>
      Array.from({ length: pairs }, (_, i) => of(list[2 * i] ?? 0, list[2 * i + 1] ?? 0));
    this.counts = merged(this.counts, (one, other) => one + other);
    this.failures = merged(this.failures, (one, other) => one + other);
    this.slowest = merged(this.slowest, Math.max);
    this.sliceMs *= 2;
  }
}

const size = { width: 1_200, left: 70, right: 20, top: 130, panel: 150, gap: 40 };

export function timelineSvg(slices: Slices, strikes: readonly TimelineStrike[]): string {
  const { rows, sliceMs } = slices;
  const endMs = Math.max(1, rows.length * sliceMs, ...strikes.map(({ toMs }) => toMs));
  const inner = size.width - size.left - size.right;
  const x = (ms: number): number => size.left + (inner * ms) / endMs;
  const perSecond = rows.map(({ answered }) => (answered * 1_000) / sliceMs);
  const rateMax = niceMax(Math.max(1, ...perSecond));
  const slowMax = Math.max(1_000, ...rows.map(({ slowestMs }) => slowestMs));
  const [first, second] = [size.top, size.top + size.panel + size.gap];
  const height = second + size.panel + 40;
  const rateY = (value: number): number => first + size.panel * (1 - value / rateMax);
  // 1 ms at the bottom; ten times as much is as far each time.
  const slowY = (ms: number): number =>
    second + size.panel * (1 - Math.log10(Math.max(1, ms)) / Math.log10(Math.max(10, slowMax)));
  const line = (y: (i: number) => number): string =>
    rows.map((_, i) => `${round(x((i + 0.5) * sliceMs))},${round(y(i))}`).join(' ');
  const decades = [1, 10, 100, 1_000, 10_000, 100_000].filter((ms) => ms <= slowMax);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${height}" font-family="sans-serif" font-size="11">`,
    '<title>Answered sends and the slowest send over time, with the faults that struck</title>',
    `<rect width="${size.width}" height="${height}" fill="#fff"/>`,
    ...strikes.map(({ name, fromMs, toMs }, i) => {
      const [from, width] = [x(fromMs), Math.max(1, x(toMs) - x(fromMs))];
      const label =
        strikes.length <= 60
          ? `<text transform="translate(${round(from + 3)} ${first - 6}) rotate(-60)" fill="#7a1f1f">${escaped(name)}</text>`
          : '';
      return `<rect x="${round(from)}" y="${first}" width="${round(width)}" height="${second + size.panel - first}" fill="${i % 2 === 0 ? '#fbe3e0' : '#fdf0dd'}"/>${label}`;
    }),
    ...[0, rateMax / 2, rateMax].map((rate) => gridLine(rateY(rate), `${Math.round(rate)}/s`)),
    ...decades.map((ms) => gridLine(slowY(ms), ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`)),
    `<polyline fill="none" stroke="#1f5f9e" points="${line((i) => rateY(perSecond[i] ?? 0))}"/>`,
    `<polyline fill="none" stroke="#b5651d" points="${line((i) => slowY(rows[i]?.slowestMs ?? 0))}"/>`,
    ...rows
      .filter(({ failed }) => failed > 0)
      .map(
        ({ atMs }) =>
          `<circle cx="${round(x(atMs))}" cy="${first + 6}" r="3" fill="#c00"><title>a send failed</title></circle>`,
      ),
    `<text x="${size.left}" y="${first + size.panel + 16}" fill="#1f5f9e">answered sends a second</text>`,
    `<text x="${size.left}" y="${second + size.panel + 16}" fill="#b5651d">the slowest send that was answered</text>`,
    `<text x="${size.width - size.right}" y="${second + size.panel + 16}" text-anchor="end">${timeText(endMs)}</text>`,
    '</svg>',
    '',
  ].join('\n');
}

function gridLine(y: number, label: string): string {
  return (
    `<line x1="${size.left}" x2="${size.width - size.right}" y1="${round(y)}" y2="${round(y)}" stroke="#ddd"/>` +
    `<text x="${size.left - 6}" y="${round(y + 4)}" text-anchor="end" fill="#555">${label}</text>`
  );
}

function niceMax(value: number): number {
  const decade = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * decade >= value) ?? 10) * decade;
}

function timeText(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1_000)} s` : `${(ms / 60_000).toFixed(1)} minutes`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
