/**
 * Goal: metadata that was lost, or set back to a backup, is told from a broker's own before anything is written; nothing is
 * deleted by it; and it comes back, once an operator says so, from what a log knows. Method: name services before stores in
 * memory, and claims as brokers make them.
 */
import type { DirectoryUpdate, KnownTerm, MemberClaim, MetadataKnowledge, NameService } from '@cometmq/client';
import { MemoryStore, type MetadataStore } from '@cometmq/metadata';
import { FaultyStore, until } from '@cometmq/metadata/testing';
import {
  memberId,
  type ConsumerGroup,
  type Epoch,
  type LogPosition,
  type MemberId,
  type MetadataVersion,
  type SetState,
  type Topic,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService } from './namesrv-service.js';

const clock = new ManualClock();
const member = memberId('broker-0/v1');
const claim: MemberClaim = { brokerSet: 'broker-0', member, address: 'host:9', bootId: 'boot', leaseMs: 3_000 };

/** Takes the lead as a member that is alone does it: on what it has read. */
async function lead({ sets }: NamesrvService, by: MemberClaim = claim): Promise<SetState> {
  const { state } = await sets.readSet(by.brokerSet);
  const epoch = (Math.max(state?.epoch ?? 0, by.log?.epoch ?? 0) + 1) as Epoch;
  const rule = { members: [by.member], quorum: 1 };
  const wanted = { epoch, rule, revision: state?.revision ?? 0, reason: 'start' } as const;
  return (await sets.acquireLeadership(by, wanted)) as SetState;
}

function keep({ sets }: NamesrvService, by: MemberClaim, epoch: number): Promise<unknown> {
  return sets.renewLeadership(by, { epoch: epoch as Epoch, writable: true, progress: 1, inSync: [by.member] });
}

async function storeOf(pairs: Iterable<{ key: string; value: string }> = []): Promise<MemoryStore> {
  const store = new MemoryStore(clock);
  await store.start();
  const puts = [...pairs].map(({ key, value }) => ({ key, value }));
  if (puts.length > 0) await store.commit({ compare: [], puts });
  return store;
}

async function serviceOf(store: MetadataStore, onReplaced?: (error: MqError) => void): Promise<NamesrvService> {
  const service = new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true, onReplaced });
  await service.start();
  return service;
}

/** What a broker would know by now. */
async function toldBy(nameService: NameService): Promise<Extract<DirectoryUpdate, { kind: 'snapshot' }>> {
  return new Promise((resolve) => {
    const stop = nameService.watch((update) => {
      stop();
      if (update.kind === 'snapshot') resolve(update);
    });
  });
}

async function versionOf(nameService: NameService): Promise<MetadataVersion> {
  const { clusterId, generation, revision } = await toldBy(nameService);
  return { clusterId, generation, revision };
}

function withLog(epoch: number, metadata?: MetadataVersion): MemberClaim {
  return { ...claim, log: { epoch: epoch as Epoch, end: 100 as LogPosition, metadata } };
}

function knowledge(
  log: MemberClaim,
  topics: readonly Topic[],
  groups: readonly ConsumerGroup[] = [],
  more: Partial<MetadataKnowledge> = {},
): MetadataKnowledge {
  const topicIdMax = topics.reduce((max, { id }) => Math.max(max, id), 0);
  const groupIdMax = groups.reduce((max, { id }) => Math.max(max, id), 0);
  const none = { deletedTopics: [], deletedGroups: [], insist: false, last: true };
  return { claim: log, topics, groups, topicIdMax, groupIdMax, ...none, ...more };
}

async function fault(asked: Promise<unknown>): Promise<MqError> {
  return asked.then(
    () => Promise.reject(new Error('it was not refused')),
    (caught: unknown) => MqError.from(caught),
  );
}

describe('a claim under metadata that is not the log’s own', () => {
  it('is refused before anything is written: empty metadata, however often', async () => {
    const store = await storeOf();
    const nameService = await serviceOf(store);
    const before = await store.range('');
    const known = { clusterId: 'was', generation: 1, revision: 9 };
    for (let tries = 0; tries < 5; tries += 1) {
      const error = await fault(lead(nameService, withLog(2, known)));
      expect(error.code).toBe('METADATA_MISMATCH');
      expect(error.reason).toMatch(/cluster was.*Nothing was changed.*comet cluster adopt/);
      expect((await fault(lead(nameService, withLog(2)))).reason).toContain('does not know broker set broker-0');
    }
    expect((await fault(keep(nameService, withLog(2, known), 2))).code).toBe('METADATA_MISMATCH');
    expect(await store.range('')).toEqual(before);
  });

  it('is refused by an older backup: by its revision, and by its epoch', async () => {
    const store = await storeOf();
    const nameService = await serviceOf(store);
    await lead(nameService);
    const backup = (await store.range('')).pairs;
    await nameService.ensureTopic('later');
    const known = await versionOf(nameService);
    await lead(nameService, withLog(1, known));
    const old = await serviceOf(await storeOf(backup));
    const error = await fault(lead(old, withLog(1, known)));
    expect([error.code, error.reason]).toEqual([
      'METADATA_MISMATCH',
      expect.stringContaining('restored from a backup'),
    ]);
    expect((await fault(keep(old, withLog(1, known), 1))).code).toBe('METADATA_MISMATCH');
    expect((await fault(lead(old, withLog(2)))).reason).toContain('knows epoch 1 of broker set broker-0');
    expect((await lead(nameService, withLog(2, known))).epoch).toBe(3);
  });

  it('is refused by a newer one’s word only when that is of the same metadata', async () => {
    const nameService = await serviceOf(await storeOf());
    await lead(nameService);
    const error = await fault(keep(nameService, withLog(9, await versionOf(nameService)), 9));
    expect(error.code).toBe('METADATA_MISMATCH'); // Not deposed: this metadata is older.
    await lead(nameService);
    const late = withLog(1, await versionOf(nameService));
    expect((await fault(keep(nameService, late, 1))).code).toBe('NOT_LEADER');
  });
});

describe('a name service whose store is another one now', () => {
  it.each(['empty', 'older', 'another cluster’s'])(
    'tells nobody of it, and changes nothing in it: %s',
    async (what) => {
      const first = await storeOf();
      const faulty = new FaultyStore(first);
      const replaced: MqError[] = [];
      const nameService = await serviceOf(faulty, (error) => replaced.push(error));
      await nameService.ensureTopic('orders');
      const backup = (await first.range('')).pairs;
      await nameService.ensureTopic('bills');
      const heard: DirectoryUpdate[] = [];
      nameService.watch((update) => heard.push(update));
      await until('the whole', () => heard.length === 1);
      const store = await storeOf(what === 'older' ? backup : []);
      if (what.startsWith('another')) await serviceOf(store);
      const before = (await store.range('')).pairs;
      faulty.becomes(store);
      await until('it is known', () => replaced.length > 0);
      expect(replaced.map(({ code }) => code)).toEqual(['METADATA_MISMATCH']);
      const made = await fault(nameService.createTopic({ name: 'new' }));
      expect(made.reason).toContain('emptied, replaced or restored');
      expect((await store.range('')).pairs).toEqual(before);
      expect(heard).toHaveLength(1);
      expect((await toldBy(nameService)).topics.map(({ name }) => name)).toEqual(['orders', 'bills']);
    },
  );

  it('does not begin a new cluster in one that has lost a part of itself', async () => {
    const store = await storeOf();
    await (await serviceOf(store)).ensureTopic('orders');
    await store.commit({ compare: [], deletes: ['clusterId'] });
    const error = await fault(serviceOf(store));
    expect([error.code, error.reason]).toEqual(['METADATA_MISMATCH', expect.stringContaining('lacks clusterId')]);
  });
});

describe('deletions', () => {
  it('are recorded, and told as such; what is just gone is told as that', async () => {
    const store = await storeOf();
    const nameService = await serviceOf(store);
    const heard: DirectoryUpdate[] = [];
    nameService.watch((update) => heard.push(update));
    const [asked, byHand] = [await nameService.ensureTopic('asked'), await nameService.ensureTopic('byHand')];
    const group = await nameService.ensureGroup('g');
    await nameService.deleteTopic('asked');
    await nameService.deleteGroup('g');
    await store.commit({ compare: [], deletes: ['topics/byHand'] });
    await nameService.ensureTopic('last');
    const gone = heard.flatMap((one) => ('recorded' in one ? [[one.kind, one.recorded]] : []));
    expect(gone).toEqual([
      ['topicDeleted', true],
      ['groupDeleted', true],
      ['topicDeleted', false],
    ]);
    const other = await serviceOf(store);
    for (const one of [nameService, other]) {
      const { deletedTopics, deletedGroups } = await toldBy(one);
      expect(deletedTopics).toEqual([{ id: asked.id, createdMs: asked.createdMs }]);
      expect(deletedGroups).toEqual([{ id: group.id, createdMs: group.createdMs }]);
      expect(deletedTopics).not.toContainEqual(expect.objectContaining({ id: byHand.id }));
    }
  });

  it('and what is made again under the name are two events, with two ids', async () => {
    const store = await storeOf();
    const [nameService, other] = [await serviceOf(store), await serviceOf(store)];
    const heard: string[] = [];
    other.watch((update) => {
      if ('topic' in update) heard.push(`${update.kind} ${update.topic.id}`);
      if ('group' in update) heard.push(`${update.kind} ${update.group.id}`);
    });
    await toldBy(other);
    await nameService.createTopic({ name: 't' });
    await nameService.createGroup({ name: 'g' });
    await nameService.deleteTopic('t');
    await nameService.deleteGroup('g');
    await Promise.all([nameService.createTopic({ name: 't' }), nameService.createGroup({ name: 'g' })]);
    await until('all is known', () => heard.length === 6);
    expect(heard.filter((one) => one.startsWith('topic'))).toEqual(['topic 1', 'topicDeleted 1', 'topic 2']);
    expect(heard.filter((one) => one.startsWith('group'))).toEqual(['group 1', 'groupDeleted 1', 'group 2']);
  });

  it('are not taken from what nobody can read', async () => {
    const store = await storeOf();
    const nameService = await serviceOf(store);
    const heard: DirectoryUpdate[] = [];
    await nameService.ensureTopic('orders');
    nameService.watch((update) => heard.push(update));
    await store.commit({ compare: [], puts: [{ key: 'topics/orders', value: '{' }] });
    await nameService.ensureTopic('last');
    expect(heard.map(({ kind }) => kind)).toEqual(['snapshot', 'topic']);
    expect((await toldBy(nameService)).topics.map(({ name }) => name)).toContain('orders');
  });

  it('are remembered, the latest ten thousand', async () => {
    const record = (id: number): string => JSON.stringify({ id, name: `t${id}`, createdMs: 1, deletedMs: 2 });
    const ids = Array.from({ length: 10_000 }, (_, i) => i + 1);
    const store = await storeOf();
    const nameService = await serviceOf(store);
    await store.commit({ compare: [], puts: ids.map((id) => ({ key: `deletedTopics/${id}`, value: record(id) })) });
    await store.commit({ compare: [], puts: [{ key: 'ids', value: '{"topics":20000,"groups":0}' }] });
    await nameService.ensureTopic('t');
    await nameService.deleteTopic('t');
    const { deletedTopics } = await toldBy(nameService);
    expect(deletedTopics).toHaveLength(10_000);
    expect(deletedTopics.at(-1)?.id).toBe(20_001);
    expect((await store.range('deletedTopics/')).pairs).toHaveLength(10_000);
  });
});

describe('what a log knows', () => {
  /** A cluster with two topics and a group, of which a broker's log knows all. */
  async function known(): Promise<{
    log: MemberClaim;
    topics: Topic[];
    groups: ConsumerGroup[];
    backup: MemoryStore;
  }> {
    const store = await storeOf();
    const nameService = await serviceOf(store);
    await lead(nameService);
    const topics = [await nameService.createTopic({ name: 'orders', writeQueues: 3, retentionMs: 60_000 })];
    const backup = await storeOf((await store.range('')).pairs);
    topics.push(await nameService.createTopic({ name: 'bills' }));
    const groups = [await nameService.createGroup({ name: 'readers', attemptsMax: 3 })];
    return { log: withLog(1, await versionOf(nameService)), topics, groups, backup };
  }

  it('comes into emptied metadata when an operator allows it, under its old ids, and none is used again', async () => {
    const { log, topics, groups } = await known();
    const nameService = await serviceOf(await storeOf());
    const part = knowledge(log, topics, groups);
    expect(await fault(nameService.adoptMetadata(part))).toMatchObject({ code: 'METADATA_MISMATCH' });
    const meanwhile = await nameService.ensureTopic('meanwhile');
    expect(meanwhile.id).toBe(topics[0]?.id);
    expect(await nameService.allowAdoption()).toBe(clock.wallMs() + 3_600_000);
    await nameService.adoptMetadata({ ...part, topics: topics.slice(0, 1), groups: [], last: false });
    await nameService.adoptMetadata({ ...part, topics: topics.slice(1), groups: [], last: false });
    await nameService.adoptMetadata({ ...part, topics: [], groups });
    const told = await toldBy(nameService);
    expect(told).toMatchObject({ clusterId: log.log?.metadata?.clusterId, generation: 2 });
    expect(told.topics).toEqual(expect.arrayContaining(topics));
    expect(told.groups).toEqual(groups);
    const ids = [...told.topics, await nameService.ensureTopic('new')].map(({ id }) => id);
    expect(new Set(ids).size).toBe(4);
    expect(Math.min(...ids.filter((id) => !topics.some((topic) => topic.id === id)))).toBeGreaterThan(1_000);
    expect((await nameService.ensureGroup('new')).id).toBeGreaterThan(1_000);
    expect((await nameService.sets.readSet('broker-0')).state).toMatchObject({ epoch: 2, leader: member });
    expect(await lead(nameService, log)).toMatchObject({ epoch: 3, leader: member });
    await keep(nameService, log, 3);
  });

  it('takes no id that another instance has given meanwhile, of which this one has not heard yet', async () => {
    const { log, topics, groups } = await known();
    const store = await storeOf();
    const faulty = new FaultyStore(store);
    const nameService = await serviceOf(faulty);
    const other = await serviceOf(store);
    await other.allowAdoption();
    faulty.stopHearing();
    expect((await other.ensureTopic('meanwhile')).id).toBe(topics[0]?.id);
    expect((await other.ensureGroup('meanwhile')).id).toBe(groups[0]?.id);
    const adopted = nameService.adoptMetadata(knowledge(log, topics, groups));
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    faulty.comeBack();
    await adopted;
    const told = await toldBy(other);
    for (const all of [told.topics, told.groups]) expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(told.topics).toEqual(expect.arrayContaining(topics));
  });

  it('may come for an hour after an operator has allowed it, whatever a clock says', async () => {
    const { log, topics } = await known();
    const nameService = await serviceOf(await storeOf());
    const part = knowledge(log, topics, [], { last: false });
    await nameService.allowAdoption();
    clock.jumpWall(24 * 3_600_000);
    await nameService.adoptMetadata(part);
    clock.jumpWall(-48 * 3_600_000);
    clock.advance(3_600_001);
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    expect(await fault(nameService.adoptMetadata(part))).toMatchObject({ code: 'METADATA_MISMATCH' });
    clock.jumpWall(24 * 3_600_000);
  });

  it('may come again and again, and from a broker that is told so itself', async () => {
    const { log, topics, groups } = await known();
    const nameService = await serviceOf(await storeOf());
    const part = knowledge(log, topics, groups, { insist: true });
    for (let tries = 0; tries < 3; tries += 1) await nameService.adoptMetadata(part);
    expect((await toldBy(nameService)).topics).toEqual(topics);
    expect(await lead(nameService, log)).toMatchObject({ epoch: 3 });
  });

  it('gives the set an epoch above all that is known, so that its leader stands again', async () => {
    const { log, topics } = await known();
    const nameService = await serviceOf(await storeOf());
    await nameService.allowAdoption();
    await nameService.adoptMetadata(knowledge(log, topics));
    expect((await fault(keep(nameService, log, 1))).code).toBe('NOT_LEADER');
    expect(await lead(nameService, log)).toMatchObject({ epoch: 3 });
    await nameService.adoptMetadata(knowledge(log, topics));
    expect((await nameService.sets.readSet('broker-0')).state).toMatchObject({ epoch: 3 });
  });

  it('mends an older backup: what it lacks comes back, what was deleted since goes', async () => {
    const { log, topics, groups, backup } = await known();
    const nameService = await serviceOf(backup);
    await nameService.allowAdoption();
    const [orders, bills] = topics;
    await nameService.adoptMetadata(
      knowledge(log, [{ ...bills!, writeQueues: 16 }], groups, { deletedTopics: [orders!.id] }),
    );
    const told = await toldBy(nameService);
    expect(told.topics).toEqual([{ ...bills, writeQueues: 16 }]);
    expect(told.deletedTopics).toEqual([{ id: orders!.id, createdMs: orders!.createdMs }]);
    expect(told.generation).toBe(2);
    await lead(nameService, log);
  });

  it('of a second broker fills gaps only, and never takes an id or a deletion back', async () => {
    const { log, topics, groups } = await known();
    const nameService = await serviceOf(await storeOf());
    await nameService.allowAdoption();
    await nameService.adoptMetadata(knowledge(log, topics.slice(0, 1)));
    const changed = await nameService.updateTopic('orders', { retentionMs: 120_000 });
    const second: MemberClaim = { ...log, brokerSet: 'broker-1', member: memberId('broker-1/v1') };
    await nameService.adoptMetadata(knowledge(second, topics, groups));
    expect((await toldBy(nameService)).topics).toEqual([changed, topics[1]]);
    await lead(nameService, second);
    await nameService.deleteTopic('bills');
    await nameService.adoptMetadata(knowledge(second, topics, groups));
    expect((await toldBy(nameService)).topics).toEqual([changed]);
    const clash = { ...topics[0]!, name: 'other' as Topic['name'], createdMs: 5 };
    expect((await fault(nameService.adoptMetadata(knowledge(second, [clash])))).code).toBe('CONFLICT');
  });

  // As where a cluster of several sets is restored from its backups: all of them begin at once.
  it('comes with that of another set of the same cluster, which brings its own in the same moment', async () => {
    const { log, topics, groups } = await known();
    const store = await storeOf();
    const nameService = await serviceOf(store);
    const second: MemberClaim = { ...log, brokerSet: 'broker-1', member: memberId('broker-1/v1') };
    const range = store.range.bind(store);
    let other: Promise<void> | undefined;
    // The first one has read whose metadata it is, and not yet which sets there are.
    jest.spyOn(store, 'range').mockImplementation(async (prefix) => {
      if (prefix === 'sets/' && other === undefined) {
        await (other = nameService.adoptMetadata(knowledge(second, topics, groups, { insist: true })));
      }
      return range(prefix);
    });
    await nameService.adoptMetadata(knowledge(log, topics, groups, { insist: true }));
    expect(other).toBeDefined();
    for (const by of [log, second]) expect((await lead(nameService, by)).epoch).toBeGreaterThan(1);
    expect((await toldBy(nameService)).topics).toEqual(topics);
  });

  it('is not brought into a cluster in which others live', async () => {
    const { log, topics } = await known();
    const store = await storeOf();
    const nameService = await serviceOf(store);
    await lead(nameService, { ...claim, brokerSet: 'broker-7', member: memberId('broker-7/v1') });
    await nameService.allowAdoption();
    const before = await store.range('');
    const error = await fault(nameService.adoptMetadata(knowledge(log, topics)));
    expect([error.code, error.reason]).toEqual(['METADATA_MISMATCH', expect.stringContaining('broker-7')]);
    expect(await store.range('')).toEqual(before);
  });

  it('is let in for an hour', async () => {
    const { log, topics } = await known();
    const nameService = await serviceOf(await storeOf());
    await nameService.allowAdoption();
    clock.advance(3_600_000);
    expect((await fault(nameService.adoptMetadata(knowledge(log, topics)))).code).toBe('METADATA_MISMATCH');
  });
});

// Goal: who does not know that the metadata was set back takes no set over by it, once one has said so that does. Method: a set of
// two of which one goes on alone, and a backup from before that.
describe('a broker set of two under metadata that was set back', () => {
  const [a, b] = ['a/1', 'b/1'].map(memberId) as [MemberId, MemberId];
  const by = (one: MemberId, metadata: MetadataVersion, epoch = 1): MemberClaim => ({
    ...{ ...claim, member: one, address: `${one[0]}:9`, bootId: `boot-${one[0]}` },
    log: { epoch: epoch as Epoch, end: 100 as LogPosition, metadata },
  });

  async function wentBack() {
    const store = await storeOf();
    const before = await serviceOf(store);
    const { log: _, ...fresh } = by(a, await versionOf(before));
    const founded = await lead(before, fresh);
    const early = await versionOf(before);
    await before.sets.announceMember({ ...by(b, early), log: undefined });
    const base = { epoch: founded.epoch, left: [] };
    const two = await before.sets.changeMembers(by(a, early), {
      ...{ ...base, rule: { members: [a, b], quorum: 2 }, revision: founded.revision },
      joined: [{ member: b, bootId: 'boot-b' }],
    });
    // Nobody is present any more where it is brought back.
    const backup = (await store.range('')).pairs.filter(({ key }) => !key.startsWith('presence/'));
    const rule = { members: [a], quorum: 1 };
    const alone = await before.sets.changeMembers(by(a, early), { ...base, rule, revision: two!.revision });
    const service = await serviceOf(await storeOf(backup));
    const set: KnownTerm = { state: alone!, promised: { epoch: founded.epoch, to: a } };
    const word = { ...knowledge(by(a, await versionOf(before)), []), set };
    const takes = async (): Promise<SetState | undefined> => {
      const { state } = await service.sets.readSet('broker-0');
      const wanted = { rule: { members: [b], quorum: 1 }, revision: state!.revision, reason: 'start' } as const;
      return service.sets.acquireLeadership(by(b, await versionOf(service)), { ...wanted, epoch: 2 as Epoch });
    };
    return { service, word, takes };
  }

  it('is not taken over by the one that was left behind', async () => {
    const { service, word, takes } = await wentBack();
    expect(await fault(service.adoptMetadata(word))).toMatchObject({ code: 'METADATA_MISMATCH' });
    expect(await fault(takes())).toMatchObject({
      code: 'METADATA_MISMATCH',
      reason: expect.stringContaining('a/1 knows a later state of broker set broker-0'),
    });
    expect((await service.sets.readSet('broker-0')).doubtedBy).toBe(a);
    await service.allowAdoption();
    await service.adoptMetadata(word);
    const { state, doubtedBy } = await service.sets.readSet('broker-0');
    expect([state, doubtedBy]).toMatchObject([{ epoch: 2, leader: a, members: [a] }, undefined]);
    expect(await lead(service, word.claim)).toMatchObject({ epoch: 3, leader: a });
  });

  it('is taken over where only strangers speak against it, or an operator gives up what is missing', async () => {
    const { service, word, takes } = await wentBack();
    await fault(service.adoptMetadata({ ...word, claim: { ...word.claim, member: memberId('c/1') } }));
    expect(await takes()).toMatchObject({ epoch: 2, leader: b });
    const other = await wentBack();
    await fault(other.service.adoptMetadata(other.word));
    await other.service.sets.electBeyond('broker-0', b);
    const { state } = await other.service.sets.readSet('broker-0');
    const wanted = { rule: { members: [b], quorum: 1 }, revision: state!.revision, reason: 'start' } as const;
    const claimed = by(b, await versionOf(other.service));
    expect(
      await other.service.sets.acquireLeadership(claimed, { ...wanted, epoch: (state!.epoch + 1) as Epoch }),
    ).toMatchObject({ leader: b });
  });
});

describe('what the members of a set know of who led', () => {
  const [a, b, c] = ['a/1', 'b/1', 'c/1'].map(memberId) as [MemberId, MemberId, MemberId];
  const metadata = { clusterId: 'was', generation: 1, revision: 9 };

  /** `by` knows that `leader` led `members` in `epoch`, and has promised that or a later one. */
  function word(
    by: MemberId,
    [epoch, leader, quorum, ...members]: readonly [number, MemberId, number, ...MemberId[]],
    promised?: readonly [number, MemberId],
  ): MetadataKnowledge {
    const { [0]: at = epoch, [1]: to = leader } = promised ?? [];
    const log = { epoch: epoch as Epoch, end: 100 as LogPosition, metadata };
    const set: KnownTerm = {
      state: { epoch: epoch as Epoch, leader, quorum, members, revision: 7 },
      promised: { epoch: at as Epoch, to },
    };
    return { ...knowledge({ ...claim, member: by, log }, []), set };
  }

  async function told(...words: readonly MetadataKnowledge[]) {
    const service = await serviceOf(await storeOf());
    await service.allowAdoption();
    const refused: string[] = [];
    for (const one of words) await service.adoptMetadata(one).catch((error: MqError) => refused.push(error.reason));
    return { service, refused, ...(await service.sets.readSet('broker-0')) };
  }

  it('counts once so many have said it that nobody can know better, and the newest does', async () => {
    const old = [5, a, 2, a, b, c] as const;
    const one = await told(word(c, old));
    expect([one.state, one.generation]).toEqual([undefined, 1]);
    expect(one.refused[0]).toMatch(/before a\/1, b\/1 has said/);
    const { state, generation, refused, service } = await told(word(c, old), word(b, [6, b, 2, a, b, c]));
    expect(refused).toHaveLength(1);
    expect([state, generation]).toMatchObject([{ epoch: 7, leader: b, members: [a, b, c], quorum: 2 }, 2]);
    // What comes later is older.
    await service.adoptMetadata(word(a, old));
    expect((await service.sets.readSet('broker-0')).state).toEqual(state);
  });

  it('is not taken from the one of two that was left behind', async () => {
    const behind = await told(word(b, [5, b, 2, a, b]));
    expect([behind.state, behind.refused.length]).toEqual([undefined, 1]);
    const { state } = await told(word(b, [5, b, 2, a, b]), word(a, [6, a, 1, a]));
    expect(state).toMatchObject({ epoch: 7, leader: a, members: [a], quorum: 1 });
    expect((await told(word(a, [6, a, 1, a]))).state).toMatchObject({ epoch: 7, leader: a, members: [a] });
  });

  it('of one epoch is newest from who knows the last change of the members', async () => {
    const late = word(a, [5, a, 1, a]);
    const set: KnownTerm = { promised: late.set!.promised, state: { ...late.set!.state, revision: 8 } };
    const { state } = await told(word(b, [5, a, 2, a, b]), { ...late, set });
    expect(state).toMatchObject({ epoch: 6, leader: a, members: [a], quorum: 1 });
  });

  it('waits for who was promised a later epoch, since it may have led in it', async () => {
    const set = [5, a, 2, a, b, c] as const;
    const waiting = await told(word(a, set), word(b, set, [8, c]));
    expect([waiting.state, waiting.refused.at(-1)]).toEqual([
      undefined,
      expect.stringContaining('before c/1 has said'),
    ]);
    const { state } = await told(word(a, set), word(b, set, [8, c]), word(c, set, [8, c]));
    expect(state).toMatchObject({ epoch: 9, members: [a, b, c] });
  });

  it('is taken at once from a member that is told to insist', async () => {
    const { state } = await told({ ...word(b, [5, b, 2, a, b]), insist: true });
    expect(state).toMatchObject({ epoch: 6, leader: b, members: [a, b], quorum: 2 });
  });
});
