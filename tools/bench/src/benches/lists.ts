import { type Bench, type Figure, medianOf } from '../bench.js';
import { consolePage } from '../support/console-page.js';
import type { Standalone } from '../support/standalone.js';

const perPage = 1_000;
const atOnce = 64;
const rounds = 9;

/** What the console's lists cost when there is much in them, and when somebody sees them. */
export const lists: Bench = {
  name: 'lists',
  about: '10,000 topics and as many consumer groups, listed by the REST API and shown by the console in Chromium',
  async run(context): Promise<readonly Figure[]> {
    const all = context.messages ?? (context.quick ? 1_000 : 10_000);
    const server = await context.standalone();
    const figures: Figure[] = [];
    for (const kind of ['topics', 'groups'] as const) {
      context.say(`${all} ${kind} are made`);
      const startMs = performance.now();
      await make(server, kind, all);
      figures.push({ what: `${kind} made`, value: (1_000 * all) / (performance.now() - startMs), unit: '/s' });
    }
    for (const path of ['topics', 'groups', 'groups?progress=true']) {
      const first: number[] = [];
      const whole: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const times = await list(server, path, all);
        first.push(times.firstMs);
        whole.push(times.allMs);
      }
      figures.push({ what: `${path}, the first page of ${perPage}`, value: medianOf(first), unit: 'ms', atMost: 500 });
      figures.push({ what: `${path}, all`, value: medianOf(whole), unit: 'ms' });
    }
    context.say('a browser looks at them');
    for (const { what, ms } of await shown(server)) figures.push({ what, value: ms, unit: 'ms', atMost: 500 });
    return figures;
  },
};

/** From the click on the menu, and from the address typed, to the first of them in the page. */
async function shown(server: Standalone): Promise<{ readonly what: string; readonly ms: number }[]> {
  const page = await consolePage(`http://127.0.0.1:${server.adminPort}`);
  try {
    const figures: { what: string; ms: number }[] = [];
    for (const kind of ['topics', 'groups'] as const) {
      const clicked: number[] = [];
      const opened: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        await page.open('/', '#content h1');
        clicked.push(await page.click(`nav a[href="/${kind}"]`, `#content tbody a[href="/${kind}/${kind}-00000"]`));
        opened.push(await page.open(`/${kind}`, `#content tbody a[href="/${kind}/${kind}-00000"]`));
      }
      figures.push({ what: `${kind} shown after a click`, ms: medianOf(clicked) });
      figures.push({ what: `${kind} shown after the address`, ms: medianOf(opened) });
    }
    return figures;
  } finally {
    await page.close();
  }
}

async function make(server: Standalone, kind: 'topics' | 'groups', all: number): Promise<void> {
  let next = 0;
  const maker = async (): Promise<void> => {
    for (let i = next++; i < all; i = next++) {
      await server.rest('POST', `/${kind}`, { name: `${kind}-${String(i).padStart(5, '0')}` });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, maker));
}

async function list(server: Standalone, path: string, all: number): Promise<{ firstMs: number; allMs: number }> {
  const startMs = performance.now();
  let firstMs = NaN;
  let count = 0;
  for (let after: string | undefined = ''; after !== undefined;) {
    const query = `${path.includes('?') ? '&' : '?'}limit=${perPage}${after && `&after=${encodeURIComponent(after)}`}`;
    const answer = await fetch(`http://127.0.0.1:${server.adminPort}/api/v1/${path}${query}`);
    const page = (await answer.json()) as { items: readonly unknown[]; next?: string };
    if (count === 0) firstMs = performance.now() - startMs;
    count += page.items.length;
    after = page.next;
  }
  if (count < all) throw new Error(`${path}: ${count} of ${all} are listed`);
  return { firstMs, allMs: performance.now() - startMs };
}
