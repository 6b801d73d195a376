import { join } from 'node:path';

import { type Bench, type BenchContext, type Figure, medianOf } from '../bench.js';
import type { LoadFigures } from '../load/load.js';
import { ClusterProgram } from '../support/cluster-program.js';
import { memoryOf } from '../support/proc.js';

/** What `GET /broker-sets/NAME/remains` says. */
interface Remains {
  readonly messages: number;
  readonly onTheirWay: number;
  readonly handedOver: number;
}

/** As it was looked at once. */
interface Sample {
  readonly ms: number;
  readonly handedOver: number;
  readonly rssMiB: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const sampleMs = 500;
const secondsMax = 1_800;

/** Of two broker sets one leaves: how fast its messages get to the other one, what that takes, and what sends pay meanwhile. */
export const handOver: Bench = {
  name: 'hand-over',
  about:
    'a broker set leaves with 100,000 messages of 256 bytes (--messages=1e6: a million): rate, RSS, sends meanwhile',
  async run(context): Promise<readonly Figure[]> {
    const messages = context.messages ?? (context.quick ? 10_000 : 100_000);
    const cluster = await ClusterProgram.start(join(context.folder, 'sets'), 1, ['--plain-text', '--sets=2']);
    try {
      if (cluster.brokers.length !== 2) throw new Error(`there are ${cluster.brokers.length} brokers`);
      return await measured(context, cluster, messages);
    } finally {
      await cluster.stop();
    }
  },
};

async function measured(context: BenchContext, cluster: ClusterProgram, messages: number): Promise<readonly Figure[]> {
  const { port, brokers: pid } = cluster;
  const target = { topic: 'bench', port, pid };
  const seconds = context.quick ? 2 : 5;
  const send = (): Promise<LoadFigures> =>
    context.load({
      ...{ ...target, kind: 'send', bodyBytes: 256, connections: 4, inFlight: 4, warmUpSeconds: 1, seconds },
      paceMs: 5,
    });
  context.say(`${2 * messages} messages for two broker sets`);
  await context.load({ ...target, kind: 'fill', bodyBytes: 256, connections: 8, inFlight: 32, messages: 2 * messages });
  const before = await send();
  const ask = async (method: string, path: string, body?: object): Promise<Remains | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${port + 1}/api/v1/broker-sets/broker-1/${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return answer.ok ? ((await answer.json().catch(() => undefined)) as Remains | undefined) : undefined;
  };
  const rss = (): number => Math.max(...pid.map((each) => memoryOf(each).rssMiB));
  const rssBefore = rss();
  const held = (await ask('GET', 'remains'))?.messages ?? 0;
  if (held < messages / 2) throw new Error(`the set that is to leave holds only ${held} messages`);
  context.say(`broker-1 leaves with ${held} messages`);
  await ask('PUT', 'stage', { stage: 'draining' });
  const samples: Sample[] = [];
  const sends: LoadFigures[] = [];
  const startMs = performance.now();
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const remains = await ask('GET', 'remains');
      const ms = performance.now() - startMs;
      if (remains) {
        samples.push({ ms, handedOver: remains.handedOver, rssMiB: rss() });
        isOver = remains.messages === 0 && remains.onTheirWay === 0 && remains.handedOver > 0;
      }
      if (ms > secondsMax * 1_000) throw new Error(`after ${secondsMax} s ${remains?.messages ?? '?'} messages remain`);
      if (!isOver) await sleep(sampleMs);
    }
  })().finally(() => (isOver = true));
  do sends.push(await send());
  while (!isOver);
  await watching;
  const last = samples.at(-1);
  if (!last) throw new Error('nothing was handed over');
  return [
    { what: 'messages handed over', value: last.handedOver, unit: 'messages' },
    { what: 'until all had gone', value: last.ms / 1_000, unit: 's' },
    { what: 'handed over', value: (last.handedOver / last.ms) * 1_000, unit: 'messages/s' },
    { what: 'RSS of the larger broker before', value: rssBefore, unit: 'MiB' },
    { what: 'RSS of the larger broker, peak', value: Math.max(...samples.map(({ rssMiB }) => rssMiB)), unit: 'MiB' },
    { what: 'sends before, median', value: before.msMedian, unit: 'ms' },
    { what: 'sends before, p99', value: before.ms99, unit: 'ms' },
    { what: 'sends meanwhile, median', value: medianOf(sends.map(({ msMedian }) => msMedian)), unit: 'ms' },
    { what: 'sends meanwhile, the worst p99', value: Math.max(...sends.map(({ ms99 }) => ms99)), unit: 'ms' },
    {
      what: 'sends meanwhile that failed',
      value: sends.reduce((sum, { failures }) => sum + failures, 0),
      unit: 'sends',
    },
  ];
}
