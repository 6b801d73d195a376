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
