import { MemoryStore, type Committed, type KeyValue, type MetadataStore, type Transaction } from '@cometmq/metadata';
import { FaultyStore, until } from '@cometmq/metadata/testing';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService, type NamesrvOptions } from './namesrv-service.js';

/** A store at the end of a long line: what is asked waits there until it is delivered, all of it at once. */
class FarStore extends FaultyStore {
  /** Deliveries that had something to carry. */
  trips = 0;
  readonly commits: Transaction[] = [];
  private readonly line: (() => void)[] = [];

  override async get(key: string): Promise<KeyValue | undefined> {
    await this.trip();
    return super.get(key);
  }

  override async commit(transaction: Transaction): Promise<Committed> {
    await this.trip();
    this.commits.push(transaction);
    return super.commit(transaction);
  }

  get waiting(): number {
    return this.line.length;
  }

  deliver(): void {
    if (this.line.length === 0) return;
    this.trips += 1;
    for (const goOn of this.line.splice(0)) goOn();
  }

  /** Delivers, whenever all who could ask have asked, until it is done. */
  async through<T>(asked: Promise<T>): Promise<T> {
    let isDone = false;
    const done = (): boolean => (isDone = true);
    asked.then(done, done);
    await until('it is done', () => {
      if (!isDone) this.deliver();
      return isDone;
    });
    return asked;
  }

  private trip(): Promise<void> {
    return new Promise((resolve) => this.line.push(resolve));
  }
}

interface World {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly far: FarStore;
  open(store: MetadataStore, options?: Partial<NamesrvOptions>): Promise<NamesrvService>;
}

async function world(): Promise<World> {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  await store.start();
  const open = async (at: MetadataStore, options: Partial<NamesrvOptions> = {}): Promise<NamesrvService> => {
    const service = new NamesrvService({
      ...{ store: at, clock, autoCreateTopics: true, autoCreateGroups: true },
      ...options,
    });
    await (at instanceof FarStore ? at.through(service.start()) : service.start());
    return service;
  };
  return { clock, store, far: new FarStore(store), open };
}

const names = (count: number, what: string): string[] => Array.from({ length: count }, (_, i) => `${what}${i}`);

function outcome(asked: Promise<{ readonly id: number }>): Promise<number | string> {
  return asked.then(
    ({ id }) => id,
    (caught: unknown) => MqError.from(caught).code,
  );
}

// Goal: what many first uses cost is a few trips to the store, and each is answered for itself.
// Method: a store that answers when it is told to, so trips are counted and no time is measured.
describe('topics and groups that are made at once', () => {
  it('go together: three hundred take no more trips than four rounds of a hundred', async () => {
    const { far, open } = await world();
    const service = await open(far);
    far.trips = 0;
    await far.through(service.ensureTopic('alone'));
    const one = far.trips;
    far.trips = 0;
    const topics = names(200, 't').map((name) => service.ensureTopic(name));
    const groups = names(100, 'g').map((name) => service.createGroup({ name }));
    const made = await far.through(Promise.all([...topics, ...groups]));
    expect(far.trips).toBeLessThanOrEqual(4 * one);
    expect(new Set(made.slice(0, 200).map(({ id }) => id)).size).toBe(200);
    expect(new Set(made.slice(200).map(({ id }) => id)).size).toBe(100);
    for (const { compare, puts = [] } of far.commits) {
      expect(Math.max(compare.length, puts.length)).toBeLessThan(128);
    }
  });

  it('are each answered for itself: made, there already, refused, and the same name twice', async () => {
    const { far, store, open } = await world();
    const service = await open(far, { topicsMax: 3 });
    await (await open(store)).createTopic({ name: 'there' });
    const asked = [
      service.createTopic({ name: 'there' }),
      service.ensureTopic('a'),
      service.createTopic({ name: 'a' }),
      service.createTopic({ name: 'b' }),
      service.createTopic({ name: 'c' }),
      service.ensureTopic('there'),
      service.ensureInnerTopic('%DLQ%g'),
      service.createGroup({ name: 'g' }),
    ].map(outcome);
    expect(await far.through(Promise.all(asked))).toEqual([
      ...['ALREADY_EXISTS', 2, 'ALREADY_EXISTS', 3, 'FORBIDDEN', 1, 4, 1],
    ]);
  });

  it('are decided anew when another instance came first, without an id twice or one more than may be', async () => {
    const { far, store, open } = await world();
    const service = await open(far, { topicsMax: 4 });
    const other = await open(store, { topicsMax: 4 });
    const asked = Promise.all(names(3, 't').map((name) => outcome(service.ensureTopic(name))));
    await until('what is there has been asked', () => far.waiting === 4);
    far.deliver();
    await until('the writing is under way', () => far.waiting === 1);
    await other.createTopic({ name: 't1' });
    await other.createTopic({ name: 'of-another' });
    expect(await far.through(asked)).toEqual([3, 1, 4]);
  });

  it('are all told when the store goes away, those who wait too, and go on when it is back', async () => {
    const { far, open } = await world();
    const service = await open(far);
    const asked = names(150, 't').map((name) => outcome(service.ensureTopic(name)));
    await until('the first have asked', () => far.waiting > 1);
    far.leave();
    expect(new Set(await far.through(Promise.all(asked)))).toEqual(new Set(['UNAVAILABLE']));
    far.comeBack();
    expect(await far.through(service.ensureTopic('t0'))).toMatchObject({ id: 1 });
  });

  it('do not wait longer than their clients do', async () => {
    const { clock, far, open } = await world();
    const service = await open(far);
    const first = outcome(service.ensureTopic('first'));
    await until('it is under way', () => far.waiting > 0);
    const second = outcome(service.ensureTopic('second'));
    clock.advance(5_001);
    expect(await far.through(Promise.all([first, second]))).toEqual([1, 'UNAVAILABLE']);
  });

  it('are no more than can be remembered', async () => {
    const { far, open } = await world();
    const service = await open(far);
    const asked = names(10_001, 't').map((name) => outcome(service.createTopic({ name })));
    expect(await Promise.race(asked)).toBe('TOO_MANY_REQUESTS');
    far.leave();
    expect(new Set(await far.through(Promise.all(asked)))).toEqual(new Set(['TOO_MANY_REQUESTS', 'UNAVAILABLE']));
  });
});
