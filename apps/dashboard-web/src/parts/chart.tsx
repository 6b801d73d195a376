import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { useWords } from '../text/text.js';
import { clock, moment } from './format.js';

export interface Line {
  readonly label: string;
  readonly color: string;
  readonly values: readonly (number | null)[];
}

const height = 220;

/** Lines over time. Loaded only where there is one; its figures are in a table beside it for who can't see it. */
export default function Chart({
  timesMs,
  lines,
  label,
  spanMs,
}: {
  timesMs: readonly number[];
  lines: readonly Line[];
  label: string;
  /** So much time is shown, up to the last one. */
  spanMs: number;
}) {
  const words = useWords();
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme('light');
  useEffect(() => {
    const box = place.current;
    if (!box) return undefined;
    const ink = scheme === 'dark' ? '#c9c9c9' : '#343a40';
    const grid = { stroke: scheme === 'dark' ? '#424242' : '#e9ecef', width: 1 };
    const toMs = timesMs.at(-1) ?? Date.now();
    const chart = new uPlot(
      {
        width: box.clientWidth,
        height,
        series: [
          {
            label: words.time,
            value: (_: uPlot, seconds: number | null) => (seconds === null ? '' : moment(seconds * 1000)),
          },
          ...lines.map(({ label: name, color }) => ({ label: name, stroke: color, width: 2, spanGaps: false })),
        ],
        axes: [
          { stroke: ink, grid, values: (_, seconds) => seconds.map((at) => clock(at * 1000)) },
          { stroke: ink, grid, size: 70 },
        ],
        scales: {
          x: { range: [(toMs - spanMs) / 1000, toMs / 1000] },
          // From nothing on, or little would look like much.
          y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] },
        },
        legend: { show: true },
      },
      [timesMs.map((ms) => ms / 1000), ...lines.map(({ values }) => [...values])],
      box,
    );
    const watch = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      chart.destroy();
    };
  }, [timesMs, lines, scheme, spanMs, words]);
  return <div ref={place} role="img" aria-label={label} />;
}
