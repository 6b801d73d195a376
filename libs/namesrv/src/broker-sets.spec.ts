import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Directory, localAddress, type MemberClaim, type SetReading } from '@cometmq/client';
import { setRegistryContract, type OpenedRegistry } from '@cometmq/client/testing';
import { EmbeddedStore, MemoryStore, NodeFiles, type MetadataStore } from '@cometmq/metadata';
import {
  memberId,
  type BrokerSet,
  type BrokerSetStage,
  type Epoch,
  type LogPosition,
  type MemberId,
  type SetState,
} from '@cometmq/model';
import { MqError, systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService } from './namesrv-service.js';

async function opened(store: MetadataStore, clock: ManualClock): Promise<OpenedRegistry> {
  await store.start();
  const open = async (): Promise<NamesrvService> => {
    const service = new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true });
    await service.start();
    return service;
  };
  const [one, other] = [await open(), await open()];
  return {
    registry: one.sets,
    other: other.sets,
    pass: async (ms) => clock.advance(ms),
    close: async () => {
      await Promise.all([one.stop(), other.stop()]);
      await store.stop();
    },
  };
}

setRegistryContract('namesrv before a store in memory', () => {
  const clock = new ManualClock();
  return opened(new MemoryStore(clock), clock);
});

setRegistryContract('namesrv before the embedded store', async () => {
  const clock = new ManualClock();
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-sets-'));
  const registry = await opened(new EmbeddedStore(new NodeFiles(folder), clock), clock);
  return {
    ...registry,
    close: async () => {
      await registry.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});

const [a, b, c] = ['a/1', 'b/1', 'c/1'].map(memberId) as [MemberId, MemberId, MemberId];
const brokerSet = 'broker-0';
const leaseMs = 3_000;
const claimOf = (member: MemberId, epoch = 0): MemberClaim => {
  const claim = {
    brokerSet,
    member,
    address: `${member[0]}:1`,
    bootId: `boot of ${member[0]}`.replaceAll(' ', '-'),
    leaseMs,
  };
  return epoch === 0 ? claim : { ...claim, log: { epoch: epoch as Epoch, end: 500 as LogPosition } };
};

interface World {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly service: NamesrvService;
  readonly sets: NamesrvService['sets'];
}

async function world(pairs: readonly { key: string; value: string }[] = []): Promise<World> {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  await store.start();
  const service = new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true });
  await service.start();
  if (pairs.length > 0) await store.commit({ compare: [], puts: pairs });
  return { clock, store, service, sets: service.sets };
}

/** `a` leads the members given, in epoch 1. */
async function led({ sets }: World, ...members: readonly MemberId[]): Promise<SetState> {
  let state = (await sets.acquireLeadership(claimOf(a), {
    ...{ epoch: 1 as Epoch, revision: 0, rule: { members: [a], quorum: 1 }, reason: 'start' },
  })) as SetState;
  for (let count = 2; count <= members.length; count += 1) {
    const next = members.slice(0, count);
    const joined = await Promise.all(
      next.slice(-1).map(async (member) => {
        await sets.announceMember(claimOf(member));
        return { member, bootId: claimOf(member).bootId };
      }),
    );
    const rule = { members: next, quorum: Math.floor(count / 2) + 1 };
    const wanted = { epoch: state.epoch, rule, revision: state.revision, left: [], joined };
    state = (await sets.changeMembers(claimOf(a), wanted)) as SetState;
  }
  return state;
}

/** What watchers are told of the set. */
async function shown({ service }: World): Promise<BrokerSet | undefined> {
  const directory = new Directory(service, systemClock);
  await directory.start();
  await directory.stop();
  return directory.brokerSet(brokerSet);
}

async function fault(asked: Promise<unknown>): Promise<MqError> {
  return asked.then(
    () => Promise.reject(new Error('it was not refused')),
    (caught: unknown) => MqError.from(caught),
  );
}

const fromNow = async ({ sets }: World): Promise<SetReading> => sets.readSet(brokerSet);

describe('a take-over, for which everybody waits', () => {
  const wanted = { epoch: 2 as Epoch, rule: { members: [a, b, c], quorum: 2 }, reason: 'handedOver' as const };

  it('asks the store for nothing that the last announcement has done', async () => {
    const here = await world();
    const { revision } = await led(here, a, b, c);
    const keepLease = jest.spyOn(here.store, 'keepLease');
    expect(await here.sets.acquireLeadership(claimOf(b, 1), { ...wanted, revision })).toMatchObject({ leader: b });
    expect(keepLease).not.toHaveBeenCalled();
  });

  it('goes on where the lease of its presence has just ended, and is present then', async () => {
    const here = await world();
    const { revision } = await led(here, a, b, c);
    const range = here.store.range.bind(here.store);
    jest.spyOn(here.store, 'range').mockImplementationOnce(async (prefix) => {
      const found = await range(prefix);
      here.clock.advance(leaseMs + 1);
      return found;
    });
    expect(await here.sets.acquireLeadership(claimOf(b, 1), { ...wanted, revision })).toMatchObject({ leader: b });
    expect((await fromNow(here)).present).toMatchObject([{ member: b, leads: 2 }]);
  });
});

// Goal: no claim brings an address into the metadata at which a process that calls it would fail. Method: each kind of it.
it.each(['', 'nowhere', 'a:0', 'a:65536', ':1', 'http://a:1', 'a b:1', 'a\n:1', 'fd00::1:1', `${'a'.repeat(300)}:1`])(
  'a member that says it is reached at %j is refused, and nothing is written',
  async (address) => {
    const { sets, store } = await world();
    const before = await store.range('');
    const claim = { ...claimOf(a), address };
    const refused = { code: 'BAD_REQUEST', reason: expect.stringContaining('must be host:port') as string };
    expect(await fault(sets.announceMember(claim))).toMatchObject(refused);
    const wanted = { epoch: 1 as Epoch, revision: 0, rule: { members: [a], quorum: 1 }, reason: 'start' } as const;
    expect(await fault(sets.acquireLeadership(claim, wanted))).toMatchObject(refused);
    expect(await store.range('')).toEqual(before);
    for (const good of [localAddress, '[fd00::1]:10911', 'broker-0-0.broker:10911']) {
      await sets.announceMember({ ...claimOf(a), address: good });
    }
  },
);

describe('what watchers are told of a set', () => {
  it('is its leader, its members and where they are, its quorum, who keeps up', async () => {
    const here = await world();
    await led(here, a, b, c);
    const kept = { epoch: 1 as Epoch, writable: true, progress: 1, inSync: [a, b] };
    await here.sets.renewLeadership(claimOf(a), kept);
    expect(await shown(here)).toMatchObject({
      ...{ name: brokerSet, epoch: 1, leader: 'a:1', leaderMember: a, quorum: 2, inSync: [a, b], writable: true },
      members: [a, b, c].map((member) => ({ member, address: `${member[0]}:1` })),
      stage: 'serving',
    });
  });

  it('changes at once, with the term; a presence of an older epoch says nothing', async () => {
    const here = await world();
    const state = await led(here, a, b, c);
    const heard: BrokerSet[] = [];
    here.service.watch((update) => {
      if (update.kind === 'broker') heard.push(update.broker);
    });
    const wanted = { epoch: 2 as Epoch, revision: state.revision, rule: state, reason: 'handedOver' } as const;
    await here.sets.acquireLeadership(claimOf(b, 1), { ...wanted, rule: { members: [a, b, c], quorum: 2 } });
    expect(heard.at(-1)).toMatchObject({ epoch: 2, leader: 'b:1', leaderMember: b });
    expect(heard.filter(({ leaderMember, epoch }) => leaderMember === a && epoch === 2)).toEqual([]);
    await here.sets.resignLeadership(claimOf(b, 1), 2 as Epoch);
    expect((await shown(here))?.leader).toBeUndefined();
  });
});

describe('a set that somebody has overwritten by hand', () => {
  it.each(['{', '{}', '[]', '{"members":3}', '{"name":"broker-0","inSync":"a"}'])(
    'with %s stays as it was',
    async (value) => {
      const here = await world();
      await led(here, a, b);
      const before = await shown(here);
      await here.store.commit({ compare: [], puts: [{ key: `sets/${brokerSet}`, value }] });
      expect(await shown(here)).toEqual(before);
      expect((await fault(fromNow(here))).code).toBe('CORRUPT_RECORD');
      expect((await fault(here.sets.announceMember(claimOf(b)))).code).toBe('CORRUPT_RECORD');
    },
  );
});

describe('a set that was written while it had one member that led', () => {
  const lone = { name: brokerSet, epoch: 4, member: a, inSync: [a], registeredMs: 7, begun: { epoch: 4, member: a } };
  const presence = { member: a, epoch: 4, address: 'old:1', writable: false };
  const pairs = [
    { key: `sets/${brokerSet}`, value: JSON.stringify(lone) },
    { key: `presence/${brokerSet}`, value: JSON.stringify(presence) },
  ];

  it('is a set of one', async () => {
    const here = await world(pairs);
    expect(await fromNow(here)).toMatchObject({
      state: { epoch: 4, leader: a, members: [a], quorum: 1 },
      present: [{ member: a, leads: 4 }],
    });
    expect(await shown(here)).toMatchObject({ epoch: 4, leader: 'old:1', writable: false, quorum: 1, inSync: [a] });
  });

  it('goes on, on its own folder only', async () => {
    const here = await world(pairs);
    const { revision = 0 } = (await fromNow(here)).state ?? {};
    const wanted = { epoch: 5 as Epoch, revision, rule: { members: [a], quorum: 1 }, reason: 'start' } as const;
    expect((await fault(here.sets.acquireLeadership(claimOf(a, 3), wanted))).code).toBe('DATA_FOLDER');
    expect(await here.sets.acquireLeadership(claimOf(a, 4), wanted)).toMatchObject({ epoch: 5, leader: a });
    expect(await shown(here)).toMatchObject({ epoch: 5, leader: 'a:1', registeredMs: 7 });
    expect((await here.store.range('presence/')).pairs.map(({ key }) => key)).toEqual([`presence/${brokerSet}/${a}`]);
  });
});

describe('an operator', () => {
  it('takes a set out of the routes, and brings it back, without touching who leads', async () => {
    const here = await world();
    const state = await led(here, a, b);
    await here.sets.setStage(brokerSet, 'draining');
    expect(await shown(here)).toMatchObject({ stage: 'draining', writable: false, leaderMember: a });
    expect((await fromNow(here)).state).toEqual(state);
    await here.sets.setStage(brokerSet, 'serving');
    expect(await shown(here)).toMatchObject({ stage: 'serving', writable: true });
    const wrong = await fault(here.sets.setStage(brokerSet, 'asleep' as 'gone'));
    expect(wrong).toMatchObject({
      code: 'BAD_REQUEST',
      reason: expect.stringContaining('joining, serving, draining, gone'),
    });
    expect((await fault(here.sets.setStage('none', 'gone'))).code).toBe('NOT_FOUND');
  });

  it('never takes the last two sets out at once', async () => {
    const here = await world();
    const first = { epoch: 1 as Epoch, revision: 0, rule: { members: [a], quorum: 1 }, reason: 'start' } as const;
    const names = ['broker-0', 'broker-1'];
    for (const name of names) await here.sets.acquireLeadership({ ...claimOf(a), brokerSet: name }, first);
    const ends = await Promise.allSettled(names.map((name) => here.sets.setStage(name, 'draining')));
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = ends.find((end) => end.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code: 'CONFLICT', reason: expect.stringContaining('the only broker set') });
  });

  it('adds a set that has no message groups at first, where others may have some, nor when it drains', async () => {
    const here = await world();
    const first = { epoch: 1 as Epoch, revision: 0, rule: { members: [a], quorum: 1 }, reason: 'start' } as const;
    const directory = new Directory(here.service, systemClock);
    await directory.start();
    const take = async (name: string): Promise<unknown> => {
      await here.sets.acquireLeadership({ ...claimOf(a), brokerSet: name }, first);
      return directory.until(() => directory.brokerSet(name), 10_000, name);
    };
    const change = async (stage: BrokerSetStage): Promise<unknown> => {
      await here.sets.setStage('broker-2', stage);
      const changed = (): BrokerSet | undefined =>
        [directory.brokerSet('broker-2')].find((set) => set?.stage === stage);
      return directory.until(changed, 10_000, stage);
    };
    expect(await take('broker-0')).toMatchObject({ stage: 'serving' });
    expect(await take('broker-1')).toMatchObject({ stage: 'serving' }); // There is no topic yet.
    await here.service.createTopic({ name: 'orders' });
    expect(await take('broker-2')).toMatchObject({ stage: 'joining', writable: true });
    expect(await change('draining')).toMatchObject({ groupless: true, writable: false });
    await here.sets.setStage('broker-2', 'draining');
    expect(await change('joining')).not.toHaveProperty('groupless');
    await change('serving');
    expect(await change('draining')).not.toHaveProperty('groupless');
    await here.sets.setStage('broker-2', 'draining', true);
    const groupless = (): true | undefined => directory.brokerSet('broker-2')?.groupless;
    expect(await directory.until(groupless, 10_000, 'groupless')).toBe(true);
    expect(await change('joining')).not.toHaveProperty('groupless');
    await directory.stop();
  });

  it('lets one lead whatever the others have, once nobody leads', async () => {
    const here = await world();
    const { revision } = await led(here, a, b, c);
    const rule = { members: [a, b], quorum: 2 };
    const left = [{ member: c, commitEnd: 900 as LogPosition }];
    await here.sets.changeMembers(claimOf(a), { epoch: 1 as Epoch, rule, revision, left });
    expect((await fault(here.sets.electBeyond(brokerSet, c))).code).toBe('CONFLICT');
    here.clock.advance(leaseMs + 1);
    expect((await fault(here.sets.electBeyond(brokerSet, memberId('x/1')))).code).toBe('NOT_FOUND');
    const untilMs = here.clock.wallMs() + 300_000;
    expect(await here.sets.electBeyond(brokerSet, c)).toEqual({ grade: 'unclean', from: 900, untilMs });
    const { state, former } = await here.sets.announceMember(claimOf(c, 1));
    expect(state).toMatchObject({ members: [c], quorum: 1, epoch: 2 });
    expect(former.map(({ member }) => member)).toEqual([a, b]);
    const alone = { members: [c], quorum: 1 };
    const wanted = { epoch: 3 as Epoch, revision: state?.revision ?? 0, rule: alone, reason: 'start' } as const;
    expect((await fault(here.sets.acquireLeadership(claimOf(b, 1), wanted))).code).toBe('BAD_REQUEST');
    expect(await here.sets.acquireLeadership(claimOf(c, 1), wanted)).toMatchObject({ leader: c, epoch: 3 });
    here.clock.advance(600_000);
    expect((await fromNow(here)).state).toMatchObject({ members: [c], epoch: 3 });
    expect((await fault(here.sets.announceMember(claimOf(a, 4)))).code).toBe('METADATA_MISMATCH');
  });

  it('lets the members count again when it has not led within five minutes', async () => {
    const here = await world();
    const before = await led(here, a, b, c);
    here.clock.advance(leaseMs + 1);
    await here.sets.electBeyond(brokerSet, c);
    here.clock.advance(299_000);
    expect((await fromNow(here)).state).toMatchObject({ members: [c] });
    here.clock.advance(2_000);
    const { state, former } = await fromNow(here);
    expect(state).toMatchObject({ members: [a, b, c], quorum: 2, leader: a, epoch: 3 });
    expect(state?.revision).toBeGreaterThan(before.revision);
    expect(former).toEqual([]);
    const late = {
      epoch: 4 as Epoch,
      revision: state?.revision ?? 0,
      rule: { members: [c], quorum: 1 },
      reason: 'start',
    } as const;
    expect((await fault(here.sets.acquireLeadership(claimOf(c, 1), late))).code).toBe('BAD_REQUEST');
  });

  it('is told that nothing is missing where that member’s word is enough by itself', async () => {
    const here = await world();
    await led(here, a, b);
    here.clock.advance(leaseMs + 1);
    expect(await here.sets.electBeyond(brokerSet, b)).toMatchObject({ grade: 'nothingMissing' });
  });
});

describe('a data folder that is not the one', () => {
  const again = memberId('a/2');

  it('is told so at once where it stands in the place of the only member', async () => {
    const here = await world();
    await led(here, a);
    // Both are there.
    const beside = await fault(here.sets.announceMember({ ...claimOf(again), address: 'elsewhere:1' }));
    expect(beside).toMatchObject({ code: 'CONFLICT', reason: expect.stringContaining('Give each member of a set') });
    here.clock.advance(leaseMs + 1);
    const error = await fault(here.sets.announceMember(claimOf(again)));
    expect(error).toMatchObject({
      code: 'DATA_FOLDER',
      reason: expect.stringContaining('comet broker forget broker-0'),
    });
    expect((await here.sets.announceMember(claimOf(b))).state).toMatchObject({ members: [a] });
  });

  it('is told so as soon as it announces itself, where it is an older copy of the leader’s', async () => {
    const here = await world();
    const state = await led(here, a, b, c);
    const kept = { epoch: 1 as Epoch, writable: true, progress: 1, inSync: [a] };
    await here.sets.renewLeadership(claimOf(a, 1), kept);
    here.clock.advance(leaseMs + 1);
    expect((await fault(here.sets.announceMember(claimOf(a)))).reason).toContain('older copy');
    // Once another has led, what it once began with may have been cut off again.
    const wanted = { epoch: 2 as Epoch, revision: state.revision, rule: { members: [a, b, c], quorum: 2 } };
    await here.sets.acquireLeadership(claimOf(b, 1), { ...wanted, reason: 'silent' });
    expect((await here.sets.announceMember(claimOf(a))).state).toMatchObject({ leader: b });
  });

  it('counts after all members were given up, with a higher epoch, and never while one leads', async () => {
    const here = await world();
    await led(here, a, b);
    expect((await fault(here.service.forgetMembers(brokerSet))).code).toBe('CONFLICT');
    expect((await fault(here.service.forgetMembers('none'))).code).toBe('NOT_FOUND');
    await here.sets.resignLeadership(claimOf(a), 1 as Epoch);
    expect(await here.service.forgetMembers(brokerSet)).toMatchObject({ members: [], inSync: [], epoch: 1 });
    const { state } = await here.sets.announceMember(claimOf(again));
    expect(state).toMatchObject({ members: [again], quorum: 1, epoch: 1 });
    const wanted = { epoch: 2 as Epoch, revision: state?.revision ?? 0, rule: { members: [again], quorum: 1 } };
    expect(await here.sets.acquireLeadership(claimOf(again), { ...wanted, reason: 'start' })).toMatchObject({
      epoch: 2,
    });
    const late = { ...wanted, epoch: 3 as Epoch, reason: 'closed' } as const;
    expect(await here.sets.acquireLeadership(claimOf(a, 1), late)).toBeUndefined();
  });
});
