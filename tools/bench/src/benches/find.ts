import { type Bench, type BenchContext, type Figure, medianOf } from '../bench.js';
import type { SendJob } from '../load/load.js';
import { keyOf } from '../load/requests.js';
import { readBytesOf } from '../support/proc.js';
import type { Standalone } from '../support/standalone.js';

const topic = 'bench-find';
const group = 'bench-readers';
const rareTag = 'rare';
const rareText = 'a needle in the haystack';
const rareMessages = 10;
const rounds = 6;
/** Of more messages bodies are a quarter as large, or they would fill the disk. */
const wholeMax = 2_000_000;

interface Found {
  readonly id: string;
  readonly messageId: string;
  readonly storedMs: number;
}
interface Hunt {
  readonly found: readonly Found[];
  readonly firstMs: number;
  readonly allMs: number;
  readonly looked: number;
  readonly readMiB: number;
}

/** What an operator looks for in a log, and what it costs those who send meanwhile. */
export const find: Bench = {
  name: 'find',
  about: 'messages of 1 KiB found by id, key, time, tag and body; the life of one; p99 of sends beside a search',
  async run(context): Promise<readonly Figure[]> {
    const { quick, say } = context;
    const messages = context.messages ?? (quick ? 20_000 : 1_000_000);
    const server = await context.standalone();
    await server.rest('POST', '/topics', { name: topic, type: 'normal', writeQueues: 8 });
    const { middleMs } = await fill(context, server, messages);
    const figures: Figure[] = [];
    const tell = (what: string, { firstMs, allMs, looked, readMiB }: Hunt, atMost?: number): void => {
      say(`${what}: first after ${firstMs.toFixed(0)} ms, over after ${allMs.toFixed(0)} ms, ${looked} looked at`);
      figures.push({ what: `${what}, to the first hit`, value: firstMs, unit: 'ms', ...(atMost && { atMost }) });
      figures.push({ what: `${what}, to the end`, value: allMs, unit: 'ms' });
      figures.push({ what: `${what}, read`, value: readMiB, unit: 'MiB' });
    };
    const byKey = await hunt(server, { key: keyOf(1) });
    const [first] = byKey.found;
    if (!first) throw new Error('the first message is not found by its key');
    tell('by key', byKey, 1_000);
    tell('by id, in one topic', await hunt(server, { id: first.messageId }), 1_000);
    tell('by id, in any topic', await hunt(server, { id: first.messageId, topic: '' }), 1_000);
    const seconds = { fromMs: middleMs - 2_000, toMs: middleMs };
    tell('two seconds in the middle', await hunt(server, { ...seconds, limit: 100 }), 1_000);
    // Only the oldest have them: there is no longer way.
    const byTag = await hunt(server, { tag: rareTag, limit: rareMessages });
    const byText = await hunt(server, { text: rareText, limit: rareMessages });
    for (const [what, { found }] of Object.entries({ tag: byTag, text: byText })) {
      if (found.length !== rareMessages) throw new Error(`${found.length} of ${rareMessages} are found by ${what}`);
    }
    tell('by the tag of the oldest', byTag);
    tell('by a text in the oldest', byText);
    figures.push({ what: 'messages', value: messages, unit: '' });

    const lives = await lifeTimes(server, byTag.found);
    figures.push({ what: 'life of one, worst of ten', value: Math.max(...lives), unit: 'ms', atMost: 1_000 });
    for (const end of ['restart', 'kill -9'] as const) {
      await (end === 'restart' ? server.stop() : server.kill());
      await server.start();
      const [again = NaN] = await lifeTimes(server, byTag.found);
      say(`started in ${server.startMs.toFixed(0)} ms; the first life after a ${end}: ${again.toFixed(0)} ms`);
      figures.push({ what: `start after a ${end}, to the first answer`, value: server.startMs, unit: 'ms' });
      figures.push({ what: `life of one, first after a ${end}`, value: again, unit: 'ms', atMost: 1_000 });
    }
    return [...figures, ...(await besideSends(context, server))];
  },
};

/** The oldest are few and unlike the others. All are consumed. */
async function fill(context: BenchContext, server: Standalone, messages: number): Promise<{ middleMs: number }> {
  const target = { port: server.port, pid: server.pid, connections: 1, inFlight: 1 };
  const job = { ...target, kind: 'fill', topic, keyed: true, bodyBytes: messages > wholeMax ? 256 : 1_024 } as const;
  await context.load({ ...job, tag: rareTag, text: rareText, messages: rareMessages });
  const many = { ...job, tag: 'usual', connections: 8, inFlight: 32 };
  await context.load({ ...many, messages: Math.ceil(messages / 2) });
  const middleMs = Date.now();
  await context.load({ ...many, messages: Math.floor(messages / 2) });
  context.say(`${messages} messages are stored`);
  await context.load({ ...target, kind: 'drain', topic, group, messages, max: 32, connections: 4 });
  context.say('and consumed');
  return { middleMs };
}

/** One search, as the console makes it. */
async function hunt(
  server: Standalone,
  query: Readonly<Record<string, string | number>>,
  signal?: AbortSignal,
): Promise<Hunt> {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries({ topic, ...query })) if (value !== '') asked.set(name, String(value));
  const before = readBytesOf(server.pid);
  const startMs = performance.now();
  const answer = await fetch(`http://127.0.0.1:${server.adminPort}/api/v1/messages/search?${asked}`, {
    ...(signal && { signal }),
  });
  if (!answer.ok || !answer.body) throw new Error(`search: ${answer.status} ${await answer.text()}`);
  const found: Found[] = [];
  let firstMs = NaN;
  let looked = 0;
  let rest = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + chunk).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const [, kind, data = '{}'] = /^event: (\w+)\ndata: (.*)$/m.exec(event) ?? [];
      if (kind === 'found') {
        if (found.length === 0) firstMs = performance.now() - startMs;
        found.push(JSON.parse(data) as Found);
      } else if (kind === 'progress') looked = (JSON.parse(data) as { looked: number }).looked;
      else if (kind === 'problem') throw new Error(`search: ${data}`);
    }
  }
  const allMs = performance.now() - startMs;
  return { found, firstMs, allMs, looked, readMiB: (readBytesOf(server.pid) - before) / 1024 ** 2 };
}

async function lifeTimes(server: Standalone, of: readonly Found[]): Promise<number[]> {
  const times: number[] = [];
  for (const { id } of of) {
    const startMs = performance.now();
    const answer = await fetch(`http://127.0.0.1:${server.adminPort}/api/v1/messages/${encodeURIComponent(id)}/life`);
    const { events } = (await answer.json()) as { events?: readonly { readonly kind: string }[] };
    times.push(performance.now() - startMs);
    const kinds = events?.map(({ kind }) => kind) ?? [];
    if (!['stored', 'delivered', 'acknowledged'].every((kind) => kinds.includes(kind))) {
      throw new Error(`the life of ${id} lacks something: ${kinds.join(', ')}`);
    }
  }
  return times;
}

/**
 * Short rounds, each in another order than the one before, so that all meet the same neighbours. Sends alone are measured
 * twice a round: how far the two are apart is what the machine's other work makes of the comparison.
 */
async function besideSends(context: BenchContext, server: Standalone): Promise<readonly Figure[]> {
  const { quick, load, say } = context;
  const target = { port: server.port, pid: server.pid, connections: 8, inFlight: 4 };
  const job: SendJob = {
    ...{ ...target, kind: 'send', topic: 'bench-beside', bodyBytes: 1_024 },
    ...{ warmUpSeconds: 0.5, seconds: quick ? 1 : 4 },
  };
  const alone: number[] = [];
  const again: number[] = [];
  const beside: number[] = [];
  const sendAlone = async (times: number[]): Promise<void> => {
    say('nobody searches');
    times.push((await load(job)).ms99);
  };
  const sendBeside = async (): Promise<void> => {
    say('somebody searches all bodies, again and again');
    const over = new AbortController();
    let searches = 0;
    const searching = (async () => {
      while (!over.signal.aborted) {
        await hunt(server, { text: 'what nobody ever wrote' }, over.signal);
        searches += 1;
      }
    })().catch((caught: unknown) => {
      if (!over.signal.aborted) throw caught;
    });
    beside.push((await load(job)).ms99);
    over.abort();
    await searching;
    say(`${searches} searches came to their end`);
  };
  await sendAlone([]);
  const acts = [() => sendAlone(alone), sendBeside, () => sendAlone(again)];
  for (let round = 0; round < (quick ? 1 : rounds); round += 1) {
    for (let i = 0; i < acts.length; i += 1) await acts[(round + i) % acts.length]?.();
  }
  const more = (times: readonly number[]): number =>
    100 * medianOf(times.map((ms, i) => ms / Math.sqrt((alone[i] ?? NaN) * (again[i] ?? NaN)))) - 100;
  return [
    {
      what: 'p99 alone, the second beside the first',
      value: 100 * medianOf(again.map((ms, i) => ms / (alone[i] ?? NaN))) - 100,
      unit: '% more',
    },
    { what: 'sends alone, p99', value: medianOf(alone), unit: 'ms' },
    { what: 'sends beside a search, p99', value: medianOf(beside), unit: 'ms' },
    { what: 'p99 beside a search', value: more(beside), unit: '% more', atMost: 10 },
  ];
}
