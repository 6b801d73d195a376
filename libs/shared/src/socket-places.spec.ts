import { placesBeyond, placesIn, processPlaces } from './socket-places.js';

it.each([
  [1_024, 704],
  ['1024', 704],
  [200, 32],
  ['unlimited', Infinity],
  [undefined, Infinity],
])('of %s files that may be open, %s connections are what is left', (files, places) => {
  expect(placesIn(files).max).toBe(places);
});

it('few more are kept for who may go beyond', () => {
  const places = placesIn(0x140 + 33);
  for (let i = 0; i < 33; i += 1) {
    expect(places.full()).toBe(false);
    places.take();
  }
  expect([places.full(), places.full(placesBeyond)]).toEqual([true, false]);
  places.give();
  expect(places.full()).toBe(false);
});

it('all ports of a process share what the system says it may have', () => {
  expect(processPlaces()).toBe(processPlaces());
  expect(processPlaces().max).toBeGreaterThan(0);
});
