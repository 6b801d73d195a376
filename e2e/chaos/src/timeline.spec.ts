// Goal: the picture of a run of any length shows every answer and every failure. Method: answers at known times.
import { Slices, timelineSvg } from './timeline.js';

it('keeps all answers in as many slices as there is room for', () => {
  const slices = new Slices(10);
  for (let ms = 0; ms < 20_000; ms += 100) slices.add(ms, ms === 7_000 ? 900 : 5, ms !== 7_000);
  const { rows } = slices;
  expect(rows.length).toBeLessThanOrEqual(10);
  expect(rows.reduce((sum, { answered }) => sum + answered, 0)).toBe(199);
  expect(rows.filter(({ failed }) => failed > 0)).toMatchObject([{ slowestMs: 900 }]);
});

it('draws a line for the rate, one for the slowest, a mark for each failure and a name for each fault', () => {
  const slices = new Slices();
  slices.add(100, 4, true);
  slices.add(900, 3_000, false);
  const picture = timelineSvg(slices, [{ name: 'cut & heal', fromMs: 200, toMs: 800 }]);
  expect(picture.match(/<polyline/g)).toHaveLength(2);
  expect(picture.match(/<circle/g)).toHaveLength(1);
  expect(picture).toContain('cut &#38; heal');
  expect(picture).not.toMatch(/NaN|undefined|Infinity/);
});
