// Goal: what is known of a collection is what it holds, whatever breaks on the way. Method: the fake of the API of Kubernetes, by
// TLS, which ends watches, forgets its history and refuses.
import { MqError, Prng, sleep, systemClock as clock } from '@cometmq/shared';

import { FakeKubernetesServer } from '../testing/fake-kubernetes-server.js';
import { until } from '../testing/until.js';
import { answersTooMuch, fieldOf } from './kubernetes-api.js';
import { WatchedCollection } from './watched-collection.js';

describe('a collection of Kubernetes that is watched', () => {
  const path = '/apis/cometmq.io/v1alpha1/namespaces/mq/comettopics';
  let kubernetes: FakeKubernetesServer;
  let stopping: AbortController;
  let running: Promise<void>;
  let told: string[];
  let failures: MqError[];
  let collection: WatchedCollection;

  beforeEach(async () => {
    kubernetes = await FakeKubernetesServer.start([path]);
    [stopping, told, failures] = [new AbortController(), [], []];
  });
  afterEach(async () => {
    stopping.abort();
    await running;
    await kubernetes.stop();
  });

  function follow(objectsMax = 5_000, bytesMax = 10_000_000, api = kubernetes.api()): void {
    collection = new WatchedCollection({
      ...{ kubernetes: api, path, clock, chance: new Prng(1), objectsMax, bytesMax },
      tell: (name, object) => told.push(`${name} ${object ? JSON.stringify(fieldOf(object, 'spec', 'n')) : 'gone'}`),
      failed: (error) => failures.push(error),
      works: () => told.push('works'),
    });
    running = collection.run(stopping.signal);
  }
  const make = (name: string, n: number): void => void kubernetes.do('POST', path, { metadata: { name }, spec: { n } });
  const put = (name: string, n: number): void => void kubernetes.do('PATCH', `${path}/${name}`, { spec: { n } });
  const names = (): string[] => [...collection.all()].map((object) => String(fieldOf(object, 'metadata', 'name')));

  it('is listed in pages, and then followed', async () => {
    for (let n = 0; n < 1_201; n += 1) make(`topic-${n}`, n);
    follow();
    await until(() => collection.listed && kubernetes.watchCount === 1);
    expect(names()).toHaveLength(1_201);
    expect(kubernetes.asked.filter((asked) => asked.includes('limit='))).toHaveLength(3);
    told.length = 0;
    put('topic-3', 33);
    make('new', 1);
    kubernetes.do('DELETE', `${path}/topic-4`);
    await until(() => told.length === 3);
    expect(told).toEqual(['topic-3 33', 'new 1', 'topic-4 gone']);
    expect(collection.get('topic-4')).toBeUndefined();
    expect(failures).toEqual([]);
  });

  it('is followed on from where the watch had got to when it breaks', async () => {
    make('one', 1);
    follow();
    await until(() => kubernetes.watchCount === 1);
    kubernetes.do('DELETE', `${path}/one`);
    make('two', 1);
    await until(() => told.includes('two 1'));
    kubernetes.endWatches();
    put('two', 2);
    await until(() => told.includes('two 2'));
    expect(told.filter((one) => one !== 'works')).toEqual(['one 1', 'one gone', 'two 1', 'two 2']);
    expect(kubernetes.asked.filter((asked) => asked.includes('limit='))).toHaveLength(1);
  });

  it('is listed again once its version is forgotten, and what went meanwhile is told', async () => {
    make('one', 1);
    make('two', 1);
    follow();
    await until(() => kubernetes.watchCount === 1);
    kubernetes.refuse = { path: /./, status: 500 };
    kubernetes.endWatches();
    kubernetes.do('DELETE', `${path}/one`);
    put('two', 2);
    kubernetes.forgetHistory();
    await until(() => failures.length > 0);
    kubernetes.refuse = undefined;
    await until(() => told.includes('two 2'));
    expect(told.filter((one) => one === 'works')).toHaveLength(1);
    expect(told).toContain('one gone');
    expect(names()).toEqual(['two']);
  });

  it('is not listed again where a bookmark has told how far it was', async () => {
    make('one', 1);
    follow();
    await until(() => kubernetes.watchCount === 1);
    kubernetes.forgetHistory();
    kubernetes.bookmark();
    await sleep(clock, 50); // The connection is taken away only after the bookmark has come.
    kubernetes.endWatches();
    make('two', 1);
    await until(() => told.includes('two 1'));
    expect(kubernetes.asked.filter((asked) => asked.includes('limit='))).toHaveLength(1);
  });

  it.each([
    [404, 'NOT_FOUND'],
    [403, 'FORBIDDEN'],
    [500, 'UNAVAILABLE'],
  ])('that answers %i is asked again, later', async (status, code) => {
    kubernetes.refuse = { path: /./, status };
    make('one', 1);
    follow();
    await until(() => failures.length >= 2);
    expect(failures[0]?.code).toBe(code);
    kubernetes.refuse = undefined;
    await until(() => told.length === 2);
    expect(told).toEqual(['works', 'one 1']);
  });

  it('never takes an older object for the newer one that a write has answered with', async () => {
    make('one', 1);
    follow();
    await until(() => kubernetes.watchCount === 1);
    const first = collection.get('one');
    put('one', 2);
    await until(() => told.includes('one 2'));
    collection.put(first!); // Answered late.
    expect(fieldOf(collection.get('one')!, 'spec', 'n')).toBe(2);
    const version = Number(fieldOf(first!, 'metadata', 'resourceVersion')) + 1_000;
    collection.put({ metadata: { name: 'one', resourceVersion: String(version) }, spec: { n: 9 } });
    put('one', 3); // Told by the watch, and older than what is known.
    make('two', 1);
    await until(() => told.includes('two 1'));
    expect(fieldOf(collection.get('one')!, 'spec', 'n')).toBe(9);
    expect(told).not.toContain('one 3');
  });

  it('with more objects than there may be is an error, and takes no more memory', async () => {
    make('one', 1);
    make('two', 1);
    follow(2);
    await until(() => kubernetes.watchCount === 1);
    make('three', 1);
    kubernetes.do('POST', path, { metadata: { name: 'four' } });
    await until(() => failures.some(({ reason }) => reason.startsWith('there are more than 2 comettopics')));
    expect(names()).toEqual(['one', 'two']);
  });

  it('with objects that are too large in all is an error, too', async () => {
    const large = (name: string): void =>
      void kubernetes.do('POST', path, { metadata: { name }, spec: { n: 1, text: 'x'.repeat(1_000) } });
    large('one');
    follow(100, 4_000);
    await until(() => kubernetes.watchCount === 1);
    for (let n = 0; n < 20; n += 1) put('one', n); // One that changes takes no more room.
    await until(() => told.includes('one 19'));
    large('two');
    await until(() => failures.some(({ reason }) => reason.endsWith('take more than 4000 bytes')));
    expect(names()).toEqual(['one']);
  });

  it('whose pages are too large to be taken is listed in smaller ones', async () => {
    for (let n = 0; n < 20; n += 1) make(`topic-${n}`, n);
    const api = kubernetes.api();
    const limits: number[] = [];
    follow(100, 1_000_000, {
      ...api,
      get: (asked) => {
        const limit = Number(/limit=(\d+)/.exec(asked)?.[1]);
        limits.push(limit);
        return limit > 8 ? Promise.reject(new MqError('UNAVAILABLE', answersTooMuch)) : api.get(asked);
      },
    });
    await until(() => collection.listed);
    expect(names()).toHaveLength(20);
    expect(limits.filter((limit) => limit <= 8)).toHaveLength(3);
    expect(failures).toEqual([]);
  });
});
