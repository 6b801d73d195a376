import { Text } from '@mantine/core';
import { lazy, Suspense, useMemo } from 'react';

import { useApi } from '../api/use-api.js';
import { count, duration } from '../parts/format.js';
import { Loading } from '../parts/loading.js';
import { Answered, Card } from '../parts/show.js';
import { useWords } from '../text/text.js';

const Chart = lazy(() => import('../parts/chart.js'));

const stretchMs = 120_000;
/** Nothing is sampled while nothing waits. */
const gapMs = 3 * stretchMs;

/** How much the group had to do in the last 24 hours, with what it has to do now at the end. */
export function GroupHistory({ name, lag }: { readonly name: string; readonly lag: number }) {
  const words = useWords();
  const history = useApi('groupLagHistory', { params: { name }, query: { hours: 24 } }, { everyMs: 60_000 });
  const points = history.data?.points;
  const shown = useMemo(() => {
    const timesMs: number[] = [];
    const lags: (number | null)[] = [];
    for (const point of points ?? []) {
      const before = timesMs.at(-1);
      // In a gap nothing waited.
      if (before !== undefined && point.atMs - before > gapMs) {
        timesMs.push(before + stretchMs, point.atMs - stretchMs);
        lags.push(0, 0);
      }
      timesMs.push(point.atMs);
      lags.push(point.lag);
    }
    // The clocks of brokers and of this page differ.
    timesMs.push(Math.max(Date.now(), (timesMs.at(-1) ?? 0) + 1));
    lags.push(lag);
    return { timesMs, lines: [{ label: words.lag, color: '#4263eb', values: lags }] };
  }, [points, lag, words]);
  const oldestMs = points?.at(-1)?.oldestMs;
  return (
    <Card title={words.lagHistory}>
      <Answered of={history}>
        {(data) => (
          <>
            <Text size="sm" mb="xs">
              {data.points.length === 0 && lag === 0
                ? words.nothingWaited
                : words.lagNow(count(lag), oldestMs === undefined || lag === 0 ? '' : duration(Date.now() - oldestMs))}
            </Text>
            <Suspense fallback={<Loading />}>
              <Chart timesMs={shown.timesMs} lines={shown.lines} label={words.lagHistory} spanMs={24 * 3_600_000} />
            </Suspense>
          </>
        )}
      </Answered>
    </Card>
  );
}
