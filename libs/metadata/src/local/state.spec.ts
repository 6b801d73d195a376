import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { KeyValueState, type Entry } from './state.js';

const put = (key: string, value: string): Entry => ({ kind: 'commit', puts: [{ key, value }], deletes: [] });

describe('KeyValueState', () => {
  it('is the same from a frozen one and the rest as from all entries', () => {
    const entries: Entry[] = [
      put('a', '1'),
      { kind: 'grant', lease: '1', ttlMs: 1_000 },
      { kind: 'commit', puts: [{ key: 'b', value: '1', lease: '1' }], deletes: ['a'] },
      put('a', '2'),
      { kind: 'grant', lease: '2', ttlMs: 1_000 },
      { kind: 'release', lease: '1' },
      put('a', '3'),
    ];
    const whole = new KeyValueState();
    for (const entry of entries) whole.apply(entry);
    for (let cut = 0; cut <= entries.length; cut += 1) {
      const first = new KeyValueState();
      for (const entry of entries.slice(0, cut)) first.apply(entry);
      const second = new KeyValueState(
        JSON.parse(JSON.stringify(first.freeze())) as ReturnType<KeyValueState['freeze']>,
      );
      for (const entry of entries.slice(cut)) second.apply(entry);
      expect(second.freeze()).toEqual(whole.freeze());
    }
  });

  // Goal: what has a prefix is found, in order, and nothing else is looked at. Method: keys put, deleted and let go of by chance,
  // compared with all keys that there are.
  it.each(seeds(20))('finds what has a prefix, in order (seed %i)', (seed) => {
    const chance = new Prng(seed);
    let state = new KeyValueState();
    const keys = new Set<string>();
    const some = (): string => chance.pick(['a', 'a/', 'a/b', 'ab/', 'b/', '']) + String(chance.below(30));
    state.apply({ kind: 'grant', lease: '1', ttlMs: 1_000 });
    for (let step = 0; step < 300; step += 1) {
      const key = some();
      if (chance.chance(0.6)) {
        state.apply(put(key, String(step)));
        keys.add(key);
      } else {
        state.apply({ kind: 'commit', puts: [], deletes: [key] });
        keys.delete(key);
      }
      if (chance.chance(0.05)) state = new KeyValueState(state.freeze());
      const prefix = chance.pick(['', 'a', 'a/', 'a/b', 'b/', 'c', '\uffff']);
      const wanted = [...keys].filter((one) => one.startsWith(prefix)).sort();
      expect(state.range(prefix).pairs.map((pair) => pair.key)).toEqual(wanted);
    }
  });

  it('looks at no more keys than have the prefix, and a few', () => {
    const state = new KeyValueState();
    for (let i = 0; i < 10_000; i += 1) state.apply(put(`topics/${i}`, ''));
    state.apply(put('sets/a', ''));
    const startsWith = jest.spyOn(String.prototype, 'startsWith');
    const { pairs } = state.range('sets/');
    const looks = startsWith.mock.calls.length;
    startsWith.mockRestore();
    expect(pairs.map(({ key }) => key)).toEqual(['sets/a']);
    expect(looks).toBeLessThan(10);
  });

  it('knows the last changes and says so when it has forgotten', () => {
    const state = new KeyValueState(undefined, 3);
    for (let i = 0; i < 20; i += 1) state.apply(put('a', String(i)));
    const now = state.revision;
    expect(state.changesAfter(now)).toEqual([]);
    expect(state.changesAfter(now - 3)?.map((one) => one.revision)).toEqual([now - 2, now - 1, now]);
    expect(state.changesAfter(1)).toBeUndefined();
    expect(state.changesAfter(now + 1)).toBeUndefined();
  });
});
