import { Directory, type DirectoryUpdate, type MemberClaim, type NameService } from '@cometmq/client';
import { MemoryStore } from '@cometmq/metadata';
import { FaultyStore, until } from '@cometmq/metadata/testing';
import { MessageType, epoch, isPaused, liteGroupDefaults, memberId, pausedForGood, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { silentLogger } from '@cometmq/telemetry';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService, type NamesrvOptions } from './namesrv-service.js';

interface World {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  /** An instance of its own before the same store. */
  open(options?: Partial<NamesrvOptions>): Promise<NamesrvService>;
}

async function world(): Promise<World> {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  await store.start();
  return {
    clock,
    store,
    open: async (options = {}) => {
      const given = { store, clock, autoCreateTopics: true, autoCreateGroups: true, ...options };
      const service = new NamesrvService(given);
      await service.start();
      return service;
    },
  };
}

async function fault(asked: Promise<unknown>): Promise<MqError> {
  const error: unknown = await asked.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(MqError);
  return error as MqError;
}

function follow(nameService: NameService): { readonly updates: DirectoryUpdate[]; stop(): void; kinds(): string } {
  const updates: DirectoryUpdate[] = [];
  const stop = nameService.watch((update) => updates.push(update));
  return { updates, stop, kinds: () => updates.map((update) => update.kind).join(' ') };
}

// Goal: no id is given twice, and what is no record is told to nobody. Method: the store as somebody's hand leaves it.
describe('what somebody has written, or taken away, in the store by hand', () => {
  it.each([undefined, 'no record', '{}', '{"topics":"7","groups":1}'])(
    'gives no id twice: %s where they are counted',
    async (value) => {
      const { open, store } = await world();
      const nameService = await open();
      const known = await nameService.createTopic({ name: 'orders' });
      await nameService.createGroup({ name: 'billing' });
      const counted = await store.get('ids');
      await store.commit(value === undefined ? { compare: [], deletes: ['ids'] } : putOf('ids', value));
      for (const made of [
        nameService.createTopic({ name: 'other' }),
        nameService.createGroup({ name: 'other' }),
        nameService.ensureTopic('third'),
      ]) {
        expect((await fault(made)).code).toBe('METADATA_MISMATCH');
      }
      expect(await nameService.ensureTopic('orders')).toMatchObject({ id: known.id });
      await store.commit(putOf('ids', counted?.value ?? ''));
      expect((await nameService.createTopic({ name: 'other' })).id).toBe(known.id + 1);
    },
  );

  it.each([
    'topics/orders',
    'groups/billing',
    'topics/new',
    'groups/new',
    'stages/broker-0',
    'deletedTopics/9',
    'retired/t9',
  ])('is told to nobody where it is no record: %s', async (key) => {
    const { open, store } = await world();
    const unreadable: string[] = [];
    const nameService = await open({
      log: { ...silentLogger, error: (facts) => void unreadable.push(JSON.stringify(facts)) },
    });
    await nameService.createTopic({ name: 'orders' });
    await nameService.createGroup({ name: 'billing' });
    const { updates, kinds } = follow(nameService);
    await until('the snapshot', () => updates.length === 1);
    await store.commit(putOf(key, '{}'));
    await until('that it was seen', () => unreadable.length > 0);
    expect(kinds()).toBe('snapshot');
    expect(unreadable.join()).toContain(key);
  });
});

function putOf(key: string, value: string): { compare: []; puts: [{ key: string; value: string }] } {
  return { compare: [], puts: [{ key, value }] };
}

describe('topics', () => {
  it('are made with the defaults of the system', async () => {
    const { open, clock } = await world();
    const nameService = await open({ defaultQueues: 5 });
    expect(await nameService.createTopic({ name: 'orders' })).toEqual({
      name: 'orders',
      id: 1,
      type: MessageType.normal,
      writeQueues: 5,
      readQueues: 5,
      permission: 'readWrite',
      typeFixed: true,
      layout: 1,
      createdMs: clock.wallMs(),
    });
  });

  it('take what they are given', async () => {
    const nameService = await (await world()).open();
    const draft = {
      name: 'orders',
      type: MessageType.fifo,
      writeQueues: 3,
      readQueues: 4,
      permission: 'read',
      retentionMs: 60_000,
      retentionBytes: 1 << 30,
    } as const;
    expect(await nameService.createTopic(draft)).toMatchObject(draft);
  });

  it.each([
    [{ name: '' }, 'ILLEGAL_TOPIC', 'blank'],
    [{ name: 'a b' }, 'ILLEGAL_TOPIC', 'letters'],
    [{ name: 'x'.repeat(128) }, 'ILLEGAL_TOPIC', '127'],
    [{ name: 'TBW102' }, 'ILLEGAL_TOPIC', 'reserved'],
    [{ name: '%DLQ%g' }, 'ILLEGAL_TOPIC', 'inner topic'],
    [{ name: 't', writeQueues: 0 }, 'BAD_REQUEST', '1 to 1024'],
    [{ name: 't', readQueues: 1_025 }, 'BAD_REQUEST', '1 to 1024'],
    [{ name: 't', writeQueues: 1.5 }, 'BAD_REQUEST', 'whole'],
    [{ name: 't', writeQueues: NaN }, 'BAD_REQUEST', 'whole'],
    [{ name: 't', permission: 'all' as 'none' }, 'BAD_REQUEST', 'readWrite, read, write, none'],
    [{ name: 't', retentionMs: 59_999 }, 'BAD_REQUEST', '60000'],
    [{ name: 't', retentionBytes: -1 }, 'BAD_REQUEST', 'bytes'],
    [{ name: 't', type: 7 as 1 }, 'BAD_REQUEST', '100 (mixed)'],
  ])('are refused as %j', async (draft, code, word) => {
    const nameService = await (await world()).open();
    const error = await fault(nameService.createTopic(draft));
    expect(error.code).toBe(code);
    expect(error.reason).toContain(word);
  });

  it('are made once', async () => {
    const nameService = await (await world()).open();
    await nameService.createTopic({ name: 'orders' });
    const error = await fault(nameService.createTopic({ name: 'orders' }));
    expect(error).toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(error.reason).toContain('orders');
  });

  it('get ids that are never used again, by nobody', async () => {
    const { open } = await world();
    const [one, other] = [await open(), await open()];
    const first = await one.createTopic({ name: 'orders' });
    await other.deleteTopic('orders');
    const again = await one.createTopic({ name: 'orders' });
    const third = await other.createTopic({ name: 'bills' });
    expect([first.id, again.id, third.id]).toEqual([1, 2, 3]);
  });

  it('change what they are told to, and the layout only with the queues', async () => {
    const nameService = await (await world()).open();
    const made = await nameService.createTopic({ name: 't', writeQueues: 4, retentionMs: 60_000 });
    const grown = await nameService.updateTopic('t', { writeQueues: 8 });
    expect(grown).toEqual({ ...made, writeQueues: 8, readQueues: 8, layout: 2 });
    const longer = await nameService.updateTopic('t', { retentionMs: 120_000, retentionBytes: 1 << 24 });
    expect(longer).toEqual({ ...grown, retentionMs: 120_000, retentionBytes: 1 << 24 });
    expect((await nameService.updateTopic('t', { permission: 'read' })).layout).toBe(3);
    const plain = await nameService.updateTopic('t', { retentionMs: 0, retentionBytes: 0 });
    expect([plain.retentionMs, plain.retentionBytes]).toEqual([undefined, undefined]);
    expect((await fault(nameService.updateTopic('t', { readQueues: 0 }))).code).toBe('BAD_REQUEST');
    expect((await fault(nameService.updateTopic('none', {}))).code).toBe('TOPIC_NOT_FOUND');
    expect((await fault(nameService.deleteTopic('none'))).code).toBe('TOPIC_NOT_FOUND');
  });

  it('keep every queue that is written to readable, grown and shrunk', async () => {
    const nameService = await (await world()).open({ defaultQueues: 8 });
    const counts = async (asked: Promise<Topic>): Promise<number[]> => {
      const { writeQueues, readQueues } = await asked;
      return [writeQueues, readQueues];
    };
    const refusal = async (asked: Promise<unknown>): Promise<string> => {
      const error = await fault(asked);
      expect(error.code).toBe('BAD_REQUEST');
      return error.reason;
    };
    expect(await counts(nameService.createTopic({ name: 'a', readQueues: 2 }))).toEqual([2, 2]);
    expect(await counts(nameService.createTopic({ name: 'b', readQueues: 12 }))).toEqual([8, 12]);
    expect(await refusal(nameService.createTopic({ name: 'c', writeQueues: 8, readQueues: 2 }))).toContain(
      'could not be',
    );
    expect(await counts(nameService.updateTopic('a', { writeQueues: 8 }))).toEqual([8, 8]);
    expect(await refusal(nameService.updateTopic('a', { writeQueues: 9, readQueues: 8 }))).toContain(
      '8 read queues are fewer than 9',
    );
    expect(await refusal(nameService.updateTopic('a', { readQueues: 2 }))).toContain('Lower the write queues first');
    expect(await refusal(nameService.updateTopic('a', { writeQueues: 2, readQueues: 2 }))).toContain(
      'still sent to 8 queues',
    );
    expect(await counts(nameService.updateTopic('a', { writeQueues: 2 }))).toEqual([2, 8]);
    expect(await counts(nameService.updateTopic('a', { readQueues: 2 }))).toEqual([2, 2]);
  });

  it('heal where they contradict each other already', async () => {
    const { open, store } = await world();
    const nameService = await open();
    const made = await nameService.createTopic({ name: 't', writeQueues: 8 });
    await store.commit({ compare: [], puts: [{ key: 'topics/t', value: JSON.stringify({ ...made, readQueues: 2 }) }] });
    expect(await nameService.updateTopic('t', { retentionMs: 60_000 })).toMatchObject({
      writeQueues: 8,
      readQueues: 8,
    });
  });

  it('lose no change when two instances change one at the same time', async () => {
    const { open } = await world();
    const [one, other] = [await open(), await open()];
    await one.createTopic({ name: 't' });
    await Promise.all([
      ...[1, 2, 3, 4].map((n) => one.updateTopic('t', { writeQueues: 10 + n })),
      ...[1, 2, 3, 4].map((n) => other.updateTopic('t', { retentionMs: 60_000 + n })),
    ]);
    const topic = await one.updateTopic('t', {});
    expect(topic.layout).toBe(5);
    expect(topic.writeQueues).toBeGreaterThan(10);
    expect(topic.retentionMs).toBeGreaterThan(60_000);
  });
});

describe('as many topics and groups as may be', () => {
  it('are made, and no more, on whatever way; dead letters are not counted', async () => {
    const nameService = await (await world()).open({ topicsMax: 3, groupsMax: 2 });
    await nameService.ensureInnerTopic('%DLQ%g');
    await nameService.createTopic({ name: 'a' });
    await nameService.ensureTopic('b');
    const made = await Promise.allSettled([nameService.createTopic({ name: 'c' }), nameService.ensureTopic('d')]);
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const asked of [nameService.createTopic({ name: 'e' }), nameService.ensureTopic('e')]) {
      const error = await fault(asked);
      expect([error.code, error.reason]).toEqual(['FORBIDDEN', expect.stringContaining('3 topics, as many as may be')]);
    }
    await nameService.ensureInnerTopic('%DLQ%h');
    expect((await nameService.ensureTopic('a')).name).toBe('a');
    await nameService.deleteTopic('a');
    expect((await nameService.ensureTopic('e')).name).toBe('e');
    await nameService.createGroup({ name: 'g' });
    await nameService.ensureGroup('h');
    for (const asked of [nameService.createGroup({ name: 'i' }), nameService.ensureGroup('i')]) {
      expect((await fault(asked)).reason).toContain('2 consumer groups, as many as may be (groupsMax)');
    }
  });

  it('and each that a first use makes is told in the log, once', async () => {
    const said: unknown[] = [];
    const log = { ...silentLogger, info: (fields: object, line: string) => said.push([line, fields]) };
    const nameService = await (await world()).open({ log });
    await Promise.all([nameService.ensureTopic('t'), nameService.ensureTopic('t'), nameService.ensureGroup('g')]);
    await nameService.ensureTopic('t');
    await nameService.createTopic({ name: 'asked-for' });
    expect(said).toEqual([
      ['a topic was made by its first use', { topic: 't', id: 1, writeQueues: 8 }],
      ['a consumer group was made by its first use', { group: 'g', id: 1 }],
    ]);
  });
});

describe('topics made on first use', () => {
  it('are the same for all who ask at once, on every instance', async () => {
    const { open } = await world();
    const instances = [await open(), await open(), await open()];
    const asked = instances.flatMap((one) => Array.from({ length: 20 }, () => one.ensureTopic('new')));
    const ids = new Set((await Promise.all(asked)).map((topic) => topic.id));
    expect([...ids]).toEqual([1]);
    expect((await instances[0]?.ensureTopic('next'))?.id).toBe(2);
  });

  it('make many different ones at once without using an id twice', async () => {
    const { open } = await world();
    const instances = [await open(), await open(), await open()];
    const names = Array.from({ length: 60 }, (_, i) => `t${i}`);
    const made = await Promise.all(names.map(async (name, i) => instances[i % 3]?.ensureTopic(name)));
    expect(new Set(made.map((topic) => topic?.id)).size).toBe(60);
  });

  it('take the type of the first message, of several the first', async () => {
    const { open } = await world();
    const [one, other] = [await open(), await open()];
    expect(await one.ensureTopic('t')).toMatchObject({ type: MessageType.normal, typeFixed: false });
    const fixed = await Promise.all([
      one.fixTopicType('t', MessageType.fifo),
      other.fixTopicType('t', MessageType.delay),
    ]);
    expect(new Set(fixed.map((topic) => topic.type)).size).toBe(1);
    expect(fixed[0]).toMatchObject({ typeFixed: true });
    expect((await one.fixTopicType('t', MessageType.priority)).type).toBe(fixed[0]?.type);
    expect((await fault(one.fixTopicType('t', MessageType.mixed))).code).toBe('BAD_REQUEST');
  });

  it('do not change the type of one that was made with it', async () => {
    const nameService = await (await world()).open();
    await nameService.createTopic({ name: 't', type: MessageType.delay });
    expect((await nameService.fixTopicType('t', MessageType.fifo)).type).toBe(MessageType.delay);
  });

  it('are not made where that is switched off, but those of others are found', async () => {
    const { open } = await world();
    const [strict, other] = [await open({ autoCreateTopics: false, autoCreateGroups: false }), await open()];
    const error = await fault(strict.ensureTopic('t'));
    expect(error.code).toBe('TOPIC_NOT_FOUND');
    expect(error.reason).toContain('comet topic create t');
    const group = await fault(strict.ensureGroup('g'));
    expect(group.code).toBe('CONSUMER_GROUP_NOT_FOUND');
    expect(group.reason).toContain('comet group create g');
    await other.ensureTopic('t');
    expect((await strict.ensureTopic('t')).id).toBe(1);
  });

  it('check the name first', async () => {
    const nameService = await (await world()).open();
    expect((await fault(nameService.ensureTopic('no good'))).code).toBe('ILLEGAL_TOPIC');
    expect((await fault(nameService.ensureGroup('no good'))).code).toBe('ILLEGAL_CONSUMER_GROUP');
  });

  it('are never the system’s own, which are made without asking', async () => {
    const nameService = await (await world()).open({ autoCreateTopics: false });
    expect((await fault(nameService.ensureTopic('%DLQ%g'))).code).toBe('TOPIC_NOT_FOUND');
    expect((await fault(nameService.ensureInnerTopic('plain'))).code).toBe('ILLEGAL_TOPIC');
    const made = await Promise.all([nameService.ensureInnerTopic('%DLQ%g'), nameService.ensureInnerTopic('%DLQ%g')]);
    expect(made[0]).toMatchObject({ writeQueues: 1, readQueues: 1, permission: 'readWrite', typeFixed: true });
    expect(made[1]).toEqual(made[0]);
    expect(await nameService.ensureTopic('%DLQ%g')).toEqual(made[0]);
  });
});

describe('groups', () => {
  it('are made, found, changed and deleted', async () => {
    const nameService = await (await world()).open();
    const made = await nameService.createGroup({ name: 'g', fifo: true, attemptsMax: 3 });
    expect(made).toMatchObject({ id: 1, fifo: true, attemptsMax: 3, start: { at: 'auto' } });
    expect(await nameService.ensureGroup('g')).toEqual(made);
    expect((await fault(nameService.createGroup({ name: 'g' }))).code).toBe('ALREADY_EXISTS');
    const retryPolicy = { kind: 'exponential', initialMs: 100, maxMs: 1_000, multiplier: 2 } as const;
    const changed = await nameService.updateGroup('g', { retryPolicy, start: { at: 'time', timeMs: 5 } });
    expect(changed).toEqual({ ...made, retryPolicy, start: { at: 'time', timeMs: 5 } });
    await nameService.deleteGroup('g');
    expect((await fault(nameService.updateGroup('g', {}))).code).toBe('CONSUMER_GROUP_NOT_FOUND');
    expect((await nameService.ensureGroup('g')).id).toBe(2);
  });

  it.each([
    [{ attemptsMax: 0 }, 'attempts'],
    [{ attemptsMax: 1_001 }, '1000'],
    [{ retryPolicy: { kind: 'exponential', initialMs: 0, maxMs: 10, multiplier: 2 } }, 'first retry'],
    [{ retryPolicy: { kind: 'exponential', initialMs: 10, maxMs: 9, multiplier: 2 } }, 'longest'],
    [{ retryPolicy: { kind: 'exponential', initialMs: 10, maxMs: 10, multiplier: 0.5 } }, 'multiplier'],
    [{ retryPolicy: { kind: 'exponential', initialMs: 10, maxMs: 10, multiplier: NaN } }, 'multiplier'],
    [{ retryPolicy: { kind: 'customized', nextMs: [] } }, 'number of retry delays'],
    [{ retryPolicy: { kind: 'customized', nextMs: [5, -1] } }, 'retry delay'],
    [{ start: { at: 'time', timeMs: -1 } }, 'start time'],
    [{ start: { at: 'never' as 'end' } }, 'auto, first, end, time'],
    [{ pausedUntilMs: -1 }, 'end of the pause'],
    [{ priorityFactor: 101 }, '100'],
    [{ lite: { topic: 't', clientQuota: 0 } }, 'lite topics of a client'],
  ] as const)('are refused as %j', async (draft, word) => {
    const nameService = await (await world()).open();
    const error = await fault(nameService.createGroup({ name: 'g', ...draft }));
    expect(error.code).toBe('BAD_REQUEST');
    expect(error.reason).toContain(word);
  });
});

describe('groups of lite consumers', () => {
  it('are bound to one topic for good, and keep what a change leaves out', async () => {
    const nameService = await (await world()).open();
    const made = await nameService.createGroup({ name: 'g', lite: { topic: 'parent', exclusive: true } });
    expect(made.lite).toEqual({ ...liteGroupDefaults, topic: 'parent', exclusive: true });
    const changed = await nameService.updateGroup('g', { lite: { topic: 'parent', clientQuota: 5 } });
    expect(changed.lite).toEqual({ ...made.lite, clientQuota: 5 });
    expect((await fault(nameService.updateGroup('g', { lite: { topic: 'other' } }))).reason).toContain(
      'bound to topic parent',
    );
  });

  it('may be paused and resumed', async () => {
    const nameService = await (await world()).open();
    await nameService.createGroup({ name: 'g' });
    const paused = await nameService.updateGroup('g', { pausedUntilMs: 1_000 });
    expect([isPaused(paused, 999), isPaused(paused, 1_000)]).toEqual([true, false]);
    expect(isPaused(await nameService.updateGroup('g', { pausedUntilMs: pausedForGood }), 2 ** 50)).toBe(true);
    expect((await nameService.updateGroup('g', { pausedUntilMs: 0 })).pausedUntilMs).toBeUndefined();
  });
});

describe('watch', () => {
  it('shows all there is, then each change, and is never called from inside', async () => {
    const nameService = await (await world()).open();
    await nameService.createTopic({ name: 'a' });
    const heard = follow(nameService);
    expect(heard.updates).toHaveLength(0);
    await nameService.ensureGroup('g');
    await nameService.updateTopic('a', { writeQueues: 2 });
    await nameService.deleteTopic('a');
    await nameService.deleteGroup('g');
    heard.stop();
    await nameService.createTopic({ name: 'b' });
    expect(heard.kinds()).toBe('snapshot group topic topicDeleted groupDeleted');
    expect(heard.updates[0]).toMatchObject({ topics: [{ name: 'a' }], groups: [], brokers: [] });
    expect(heard.updates[3]).toMatchObject({ topic: { name: 'a', id: 1, writeQueues: 2 } });
    const revisions = heard.updates.map((update) => update.revision);
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  });

  it('has told of a change when the operation returns, on that instance', async () => {
    const { open, clock } = await world();
    const nameService = await open();
    const directory = new Directory(nameService, clock);
    await directory.start();
    for (let i = 0; i < 20; i += 1) {
      const topic = await nameService.ensureTopic(`t${i}`);
      expect(directory.topicById(topic.id)).toEqual(topic);
    }
    await nameService.deleteTopic('t3');
    expect(directory.topic('t3')).toBeUndefined();
    await directory.stop();
  });

  it('tells every instance the same in the same order', async () => {
    const { open } = await world();
    const instances = [await open(), await open()];
    const heard = instances.map(follow);
    await until('snapshots', () => heard.every((one) => one.updates.length > 0));
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const at = instances[i % 2];
        await at?.ensureTopic(`t${i}`);
        await at?.updateTopic(`t${i}`, { writeQueues: 1 + i });
        if (i % 3 === 0) await at?.deleteTopic(`t${i}`);
      }),
    );
    const [a, b] = heard.map((one) => one.updates);
    await until('both know all', () => a?.length === b?.length);
    expect(a?.length).toBe(1 + 40 + 40 + 14);
    expect(a).toEqual(b);
  });

  it('gives one cluster one id and one secret, whoever came first', async () => {
    const { open } = await world();
    const instances = await Promise.all([open(), open(), open()]);
    const heard = instances.map(follow);
    await until('snapshots', () => heard.every((one) => one.updates.length > 0));
    const whole = heard.map((one) => one.updates[0]);
    expect(whole[1]).toEqual(whole[0]);
    expect(whole[2]).toEqual(whole[0]);
    const first = whole[0];
    if (first?.kind !== 'snapshot') throw new Error('the first is the whole');
    expect(first.secret).toHaveLength(32);
    expect(first.clusterId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('leaves out what somebody wrote by hand, and goes on', async () => {
    const { open, store } = await world();
    const nameService = await open();
    const heard = follow(nameService);
    await store.commit({ compare: [], puts: [{ key: 'topics/bad', value: '{' }] });
    await nameService.ensureTopic('good');
    expect(heard.kinds()).toBe('snapshot topic');
  });
});

describe('while the store is away', () => {
  it('what is known is served, changes are refused, nobody is deposed, and all goes on by itself', async () => {
    const { open, store } = await world();
    const faulty = new FaultyStore(store);
    const [cut, other] = [await open({ store: faulty }), await open()];
    const member = memberId('b/1');
    const claim: MemberClaim = { brokerSet: 'b', member, address: 'x:1', bootId: 'boot', leaseMs: 3_000 };
    const rule = { members: [member], quorum: 1 };
    const kept = (progress: number) => ({ epoch: epoch(1), writable: true, progress, inSync: [member] });
    await cut.sets.acquireLeadership(claim, { epoch: epoch(1), rule, revision: 0, reason: 'start' });
    const known = await cut.ensureTopic('known');
    const heard = follow(cut);
    await until('the whole', () => heard.updates.length === 1);

    faulty.leave();
    expect(await cut.ensureTopic('known')).toEqual(known);
    expect((await fault(cut.ensureTopic('new'))).code).toBe('UNAVAILABLE');
    expect((await fault(cut.createTopic({ name: 'new' }))).code).toBe('UNAVAILABLE');
    expect((await fault(cut.sets.renewLeadership(claim, kept(1)))).code).toBe('UNAVAILABLE');
    const late = follow(cut);
    await until('the whole again', () => late.updates.length === 1);
    expect(late.updates).toEqual(heard.updates);
    await other.ensureTopic('meanwhile');
    expect(heard.updates).toHaveLength(1);

    faulty.comeBack();
    await cut.sets.renewLeadership(claim, kept(2));
    await cut.ensureTopic('new');
    expect(heard.kinds()).toBe('snapshot topic topic');
  });

  it('an operation returns only when its change has come back by the watch', async () => {
    const { open, store, clock } = await world();
    const faulty = new FaultyStore(store);
    const nameService = await open({ store: faulty });
    const heard = follow(nameService);
    faulty.stopHearing();
    let returned = false;
    const made = nameService.ensureTopic('t').finally(() => (returned = true));
    await until('it is made', async () => (await store.get('topics/t')) !== undefined);
    for (let i = 0; i < 50; i += 1) await Promise.resolve();
    expect(returned).toBe(false);
    faulty.comeBack();
    await made;
    expect(heard.kinds()).toBe('snapshot topic');

    faulty.stopHearing();
    const late = fault(nameService.ensureTopic('u'));
    await until('it is made', async () => (await store.get('topics/u')) !== undefined);
    await until('it waits', () => clock.timersWaiting > 0);
    clock.advance(60_000);
    expect((await late).code).toBe('UNAVAILABLE');
  });

  it('finds at the next try what was made though its answer was lost', async () => {
    const { open, store } = await world();
    const faulty = new FaultyStore(store);
    const nameService = await open({ store: faulty });
    faulty.loseNextAnswer = true;
    expect((await fault(nameService.ensureTopic('t'))).code).toBe('UNAVAILABLE');
    expect((await nameService.ensureTopic('t')).id).toBe(1);
    expect((await nameService.ensureTopic('u')).id).toBe(2);
  });

  it('waits at the start until it is there', async () => {
    const { store, clock } = await world();
    const faulty = new FaultyStore(store);
    faulty.leave();
    const nameService = new NamesrvService({ store: faulty, clock, autoCreateTopics: true, autoCreateGroups: true });
    let started = false;
    void nameService.start().then(() => (started = true));
    const heard = follow(nameService);
    clock.advance(1_000);
    expect(nameService.ready).toBe(false);
    faulty.comeBack();
    await until('it has started', () => {
      clock.advance(200);
      return started;
    });
    const topic: Topic = await nameService.ensureTopic('t');
    expect(heard.kinds()).toBe('snapshot topic');
    expect(topic.id).toBe(1);
  });
});
