import { Ascent, type EtcdHeader } from './ascent.js';

const header = (term: number, revision: number, cluster = 'c'): EtcdHeader => ({
  ...{ cluster_id: cluster, raft_term: String(term), revision: String(revision) },
});

describe('what etcd answers', () => {
  it('counts while it does not go back, by whichever endpoint', () => {
    const ascent = new Ascent();
    for (const [term, revision] of [
      [2, 10],
      [2, 10],
      [3, 11],
      [3, 40],
    ] as const) {
      ascent.answered(header(term, revision), ascent.height);
    }
    expect(ascent.height).toEqual({ cluster: 'c', term: 3, revision: 40 });
  });

  it.each([
    ['an earlier revision', header(3, 39), 'gone back'],
    ['an earlier term, however far it has come', header(2, 900), 'gone back'],
    ['another cluster', header(3, 41, 'other'), 'etcd cluster other'],
  ])('does not count with %s', (_what, answer, why) => {
    const ascent = new Ascent();
    ascent.answered(header(3, 40), ascent.height);
    expect(() => ascent.answered(answer, ascent.height)).toThrow(why);
    expect(ascent.height).toEqual({ cluster: 'c', term: 3, revision: 40 });
  });

  it('may overtake each other', () => {
    const ascent = new Ascent();
    const asked = ascent.height;
    ascent.answered(header(3, 40), asked);
    ascent.answered(header(3, 39), asked);
    expect(ascent.height.revision).toBe(40);
  });
});
