import { pagesOf, type PageOf } from './pages.js';

async function read(ask: (after: number | undefined) => PageOf<number>): Promise<number> {
  let pages = 0;
  for await (const page of pagesOf<number, PageOf<number>>(async (after) => ask(after))) pages += page ? 1 : 0;
  return pages;
}

it.each([1, 2, 3, 10, 1_000])('reads %i pages, each once', async (count) => {
  const asked: (number | undefined)[] = [];
  const pages = await read((after) => {
    asked.push(after);
    return asked.length === count ? {} : { next: asked.length };
  });
  expect(pages).toBe(count);
  expect(asked).toEqual([undefined, ...Array.from({ length: count - 1 }, (_, i) => i + 1)]);
});

it.each([
  [0, 1],
  [0, 2],
  [5, 1],
  [5, 7],
  [100, 33],
])('gives up where after %i pages a round of %i goes on for ever', async (before, round) => {
  let asked = 0;
  const reading = read(() => {
    asked += 1;
    return { next: asked <= before ? -asked : asked % round };
  });
  await expect(reading).rejects.toMatchObject({ code: 'INTERNAL' });
  expect(asked).toBeLessThan(10 * (before + round) + 10);
});
