import type { GroupId, QueueId, TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { LiteSubscriptions, ReadyQueues, type LiteSync } from './index.js';

const group = 1 as GroupId;
const minute = 60_000;

function stage(subscriptionsMax = 1_000) {
  const subscriptions = new LiteSubscriptions({ subscriptionsMax, silentMsMax: 3 * minute });
  const sync = (
    clientId: string,
    action: LiteSync['action'],
    liteTopics: string[] = [],
    more: Partial<LiteSync> = {},
  ) =>
    subscriptions.sync(
      {
        clientId,
        groupId: group,
        topicId: 9 as TopicId,
        action,
        liteTopics,
        exclusive: false,
        clientQuota: 5,
        eventsMax: 10,
        ...more,
      },
      0,
    );
  const names = (clientId: string) => [...(subscriptions.client(group, clientId)?.names ?? [])].sort();
  const of = (name: string) => subscriptions.subscribersOf(group, name).map(({ clientId }) => clientId);
  return { subscriptions, sync, names, of };
}

describe('lite subscriptions', () => {
  it('are added, set, removed and dropped, each twice without harm', () => {
    const { subscriptions, sync, names, of } = stage();
    expect(sync('c', 'add', ['a', 'b']).added).toEqual(['a', 'b']);
    expect(sync('c', 'add', ['a', 'b']).added).toEqual([]);
    expect(sync('d', 'add', ['a']).evicted).toEqual([]);
    expect(of('a')).toEqual(['c', 'd']);
    const set = sync('c', 'setAll', ['b', 'e']);
    expect([set.added, set.removed, names('c')]).toEqual([['e'], ['a'], ['b', 'e']]);
    expect(sync('c', 'remove', ['b', 'never']).removed).toEqual(['b']);
    expect(sync('c', 'remove', ['b']).removed).toEqual([]);
    expect(sync('c', 'removeAll').removed).toEqual(['e']);
    expect(sync('c', 'removeAll').removed).toEqual([]);
    expect([subscriptions.count, of('a'), of('e')]).toEqual([1, ['d'], []]);
    expect([...subscriptions.groupsOn(9 as TopicId)]).toEqual([group]);
    sync('d', 'removeAll');
    expect([...subscriptions.groupsOn(9 as TopicId)]).toEqual([]);
  });

  it('to a topic that was deleted and made again begin anew', () => {
    const { subscriptions, sync, names } = stage();
    sync('c', 'add', ['a']);
    sync('d', 'add', ['b']);
    const again = 10 as TopicId;
    expect(sync('c', 'setAll', ['a'], { topicId: again }).added).toEqual(['a']);
    expect(names('d')).toEqual([]);
    expect([...subscriptions.groupsOn(9 as TopicId)]).toEqual([]);
    expect([...subscriptions.groupsOn(again)]).toEqual([group]);
  });

  it('move to the newest subscriber of an exclusive group, and stay with it', () => {
    const { sync, names, of } = stage();
    const exclusive = { exclusive: true };
    sync('old', 'add', ['a', 'b'], exclusive);
    const taken = sync('new', 'add', ['a'], exclusive);
    expect(taken.evicted.map(({ client, name }) => [client.clientId, name])).toEqual([['old', 'a']]);
    expect(of('a')).toEqual(['new']);
    const again = sync('old', 'setAll', ['a', 'b'], exclusive);
    expect([again.refused, again.removed, names('old'), of('a')]).toEqual([['a'], [], ['b'], ['new']]);
  });

  it('are bounded for a client and for the broker, and say by what', () => {
    const { sync, names } = stage(8);
    sync('c', 'add', ['1', '2', '3', '4', '5']);
    expect(fault(() => sync('c', 'add', ['6']))).toMatch(/6 lite topics; its group allows 5/);
    expect(sync('c', 'add', ['5']).added).toEqual([]);
    expect(fault(() => sync('d', 'add', ['1', '2', '3', '4']))).toMatch(/at most 8/);
    expect(names('d')).toEqual([]);
    const many = Array.from({ length: 306 }, (_, i) => `${i}`);
    expect(fault(() => sync('c', 'setAll', many))).toMatch(/its group allows 5/);
    expect(names('c').length).toBe(5);
  });

  it('end when they are not repeated', () => {
    const { subscriptions, sync, of } = stage();
    sync('c', 'add', ['a']);
    expect(subscriptions.sweep(3 * minute)).toEqual([]);
    expect(subscriptions.sweep(3 * minute + 1).map(({ clientId, names }) => [clientId, ...names])).toEqual([
      ['c', 'a'],
    ]);
    expect([subscriptions.count, subscriptions.clientCount, of('a')]).toEqual([0, 0, []]);
  });

  it('end with their lite topic', () => {
    const { subscriptions, sync, names } = stage();
    sync('c', 'add', ['a', 'b']);
    sync('d', 'add', ['a']);
    expect(subscriptions.dropName(group, 'a').map(({ clientId }) => clientId)).toEqual(['c', 'd']);
    expect([names('c'), names('d'), subscriptions.count]).toEqual([['b'], [], 1]);
  });

  // Goal: both directions of the relation always agree. Method: random calls against plain sets.
  it.each(seeds(20))('know the same from both sides (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const { subscriptions, sync, names, of } = stage();
    const oracle = new Map<string, Set<string>>();
    for (let step = 0; step < 500; step += 1) {
      const clientId = `c${chance.below(4)}`;
      const list = Array.from({ length: chance.below(4) }, () => `n${chance.below(8)}`);
      const mine = oracle.get(clientId) ?? new Set<string>();
      oracle.set(clientId, mine);
      const action = chance.pick(['add', 'remove', 'setAll', 'removeAll'] as const);
      if (action === 'add' && new Set([...mine, ...list]).size > 5) {
        expect(fault(() => sync(clientId, action, list))).toMatch(/allows 5/);
        continue;
      }
      sync(clientId, action, list);
      if (action === 'setAll' || action === 'removeAll') mine.clear();
      if (action === 'remove') for (const name of list) mine.delete(name);
      else if (action !== 'removeAll') for (const name of list) mine.add(name);
      if (step % 10 > 0) continue;
      for (const [client, set] of oracle) expect(names(client)).toEqual([...set].sort());
      for (let n = 0; n < 8; n += 1) {
        const expected = [...oracle].filter(([, set]) => set.has(`n${n}`)).map(([client]) => client);
        expect([...of(`n${n}`)].sort()).toEqual(expected.sort());
      }
      expect(subscriptions.count).toBe([...oracle.values()].reduce((sum, set) => sum + set.size, 0));
    }
  });
});

describe('ready queues', () => {
  it('are each once, in the order they became ready, and bounded', () => {
    const ready = new ReadyQueues(3);
    const add = (...queues: number[]) => queues.map((queue) => ready.add(queue as QueueId));
    expect(add(5, 7, 5, 6)).toEqual([true, true, true, true]);
    expect([ready.first(2), ready.overflowed]).toEqual([[5, 7], false]);
    expect(add(8, 7)).toEqual([false, true]);
    expect(ready.overflowed).toBe(true);
    ready.remove(5 as QueueId);
    add(5);
    expect(ready.first(9)).toEqual([7, 6, 5]);
  });
});

function fault(act: () => unknown): string {
  try {
    act();
  } catch (caught) {
    const error = MqError.from(caught);
    expect(error.code).toBe('LITE_SUBSCRIPTION_QUOTA_EXCEEDED');
    return error.reason;
  }
  throw new Error('nothing was refused');
}
