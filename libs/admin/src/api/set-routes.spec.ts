// Goal: a broker set is told as its members see it, also while some are away. Method: the REST API over members that say
// what they are told to.
import { epoch, memberId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { SetReport } from '../reports/set-report.js';
import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

const names = ['a', 'b', 'c'];
const idOf = (name: string): ReturnType<typeof memberId> => memberId(`broker-1-${name}/1`);
const follower = (name: string, inSync: boolean, lagBytes = 0) => ({
  member: idOf(name),
  inSync,
  lagBytes,
  lagMs: 3.4,
});

let fixture: AdminFixture;
beforeEach(async () => {
  fixture = await startAdminFixture();
  put('a:1');
});
afterEach(() => fixture.stop());

function put(leader: string | undefined, of = names, stage: 'serving' | 'gone' = 'serving'): void {
  fixture.nameService.putSet({
    ...{ name: 'broker-1', epoch: 4, leader, leaderMember: leader && idOf(leader.slice(0, 1)) },
    members: of.map((name) => ({ member: idOf(name), address: `${name}:1` })),
    ...{ quorum: Math.floor(of.length / 2) + 1, stage, inSync: [], writable: true, registeredMs: 1 },
  });
}
function leads(name: string, ...followers: ReturnType<typeof follower>[]): void {
  fixture.members.statuses.set(`${name}:1`, { member: idOf(name), role: 'leading', epoch: epoch(4), followers });
}
function follows(...members: string[]): void {
  for (const name of members) fixture.members.statuses.set(`${name}:1`, { member: idOf(name), says: 'follows' });
}
async function call(path: string, body?: unknown): Promise<{ readonly status: number; readonly body: SetReport }> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(`${fixture.url}/api/v1/broker-sets/broker-1${path}`, body === undefined ? {} : init);
  return { status: answer.status, body: (await answer.json()) as SetReport };
}

it('a set of three is protected while any one may be lost', async () => {
  leads('a', follower('b', true), follower('c', true));
  follows('b', 'c');
  const { body } = await call('');
  expect(body).toMatchObject({ protection: 'protected', says: 'protected', epoch: 4, leader: idOf('a'), quorum: 2 });
  expect(body.members.map(({ member, inSync, leads: isLeader }) => [member, inSync, isLeader])).toEqual([
    [idOf('a'), true, true],
    [idOf('b'), true, false],
    [idOf('c'), true, false],
  ]);
});

it('with one behind it has nothing to spare, and says who is missing and by how much', async () => {
  leads('a', follower('b', true), follower('c', false, 4_096));
  follows('b');
  const { body } = await call('');
  expect(body).toMatchObject({
    protection: 'noSpare',
    says: `protected, with no member to spare: waiting for ${idOf('c')}`,
  });
  expect(body.members[2]).toMatchObject({ lagBytes: 4_096, lagMs: 3, problem: 'c:1 does not answer' });
});

it.each([
  ['with the leader alone, no messages are taken', [] as ReturnType<typeof follower>[], names, 'notServing'],
  ['a set of one is a single copy', [], ['a'], 'singleCopy'],
  ['of two, either may be lost', [follower('b', true)], ['a', 'b'], 'protected'],
])('%s', async (_, followers, members, protection) => {
  put('a:1', members);
  leads('a', ...followers);
  expect((await call('')).body.protection).toBe(protection);
});

it('believes its leader that it can commit nothing, also where the name service shows nobody to lead', async () => {
  put(undefined, ['a', 'b']);
  const says = `not serving: nothing can be committed, waiting for ${idOf('b')}`;
  const status = {
    member: idOf('a'),
    role: 'leading',
    epoch: epoch(4),
    stalled: true,
    says,
    membersWanted: 2,
  } as const;
  fixture.members.statuses.set('a:1', { ...status, followers: [follower('b', true)] });
  expect((await call('')).body).toMatchObject({ protection: 'notServing', says, leader: idOf('a'), membersWanted: 2 });
  const answer = await fetch(`${fixture.url}/api/v1/cluster`);
  expect(await answer.json()).toMatchObject({ healthy: false, reasons: [`broker-1: ${says}`] });
});

it('says that a set is taken out, and that nobody waits for it, until one of its members leads', async () => {
  put(undefined, names, 'gone');
  const { body } = await call('');
  expect(body).toMatchObject({ protection: 'takenOut', says: 'taken out' });
  expect(body.members.map(({ mayRestart }) => mayRestart)).toEqual([true, true, true]);
  leads('a', follower('b', true), follower('c', true));
  expect((await call('')).body.protection).toBe('protected');
});

it('warns of members that are set up for another number of members', async () => {
  leads('a', follower('b', true), follower('c', true));
  follows('b', 'c');
  expect((await call('')).body.warnings).toEqual([]);
  for (const name of names) {
    const status = fixture.members.statuses.get(`${name}:1`);
    fixture.members.statuses.set(`${name}:1`, { ...status, member: idOf(name), membersWanted: name === 'c' ? 2 : 3 });
  }
  const { warnings } = (await call('')).body;
  expect(warnings).toEqual([
    `members differ in membersWanted (${idOf('a')}: 3, ${idOf('b')}: 3, ${idOf('c')}: 2): give all of them the same`,
  ]);
});

it('names both members of one place, and touches neither', async () => {
  const [one, other] = ['b/1', 'b/2'].map((name) => memberId(`broker-1-${name}`));
  fixture.nameService.putSet({
    ...{ name: 'broker-1', epoch: 4, leader: 'a:1', leaderMember: idOf('a') },
    members: [idOf('a'), one, other].map((member) => ({ member: member ?? '', address: 'a:1' })),
    ...{ quorum: 2, stage: 'serving', inSync: [], writable: true, registeredMs: 1 },
  });
  leads('a');
  const answer = await call('/replacement', { member: 'broker-1-b' });
  expect(answer).toMatchObject({ status: 409, body: { detail: expect.stringContaining(`${one} and ${other}`) } });
  expect(fixture.members.asked).toEqual([]);
});

it('without a leader, who stands for the lead says what it waits for', async () => {
  put(undefined);
  follows('c');
  const says = 'no leader since 3 s: stands for the lead, waiting for promises of broker-1-c/1';
  fixture.members.statuses.set('b:1', { member: idOf('b'), role: 'standing', says });
  const { body } = await call('');
  expect(body).toMatchObject({ protection: 'noLeader', says });
  expect(body).not.toHaveProperty('leader');
});

it('of two that say they lead, the one of the later epoch does, whatever the name service shows', async () => {
  leads('a');
  const followers = [follower('c', true)];
  fixture.members.statuses.set('b:1', { member: idOf('b'), role: 'leading', epoch: epoch(5), followers });
  expect((await call('')).body).toMatchObject({ leader: idOf('b'), epoch: 5, protection: 'noSpare' });
});

it('shows who copies the log to become a member', async () => {
  leads('a', follower('b', true), follower('c', true), follower('d', false, 1_000));
  follows('b', 'c');
  const { members } = (await call('')).body;
  expect(members[3]).toMatchObject({ member: idOf('d'), counts: false, inSync: false, lagBytes: 1_000 });
});

const failover = (n: number, reason: 'closed' | 'handedOver' = 'closed') => ({
  ...{ reason, epoch: epoch(n), atMs: 1_800_000_000_000 + n, noticeMs: 1, promiseMs: 2, fetchMs: 3 },
  ...{ transactionMs: 4, startRecordMs: 5, foldMs: 6 },
});

it('puts together when members took over, of what each of them remembers, and tells so much and no more', async () => {
  leads('a', follower('b', true), follower('c', true));
  follows('b', 'c');
  const remembers = (name: string, ...failovers: ReturnType<typeof failover>[]): void => {
    const status = fixture.members.statuses.get(`${name}:1`);
    fixture.members.statuses.set(`${name}:1`, { ...status, failovers });
  };
  remembers('a', failover(1), failover(4, 'handedOver'));
  remembers('b', failover(2));
  remembers('c', ...Array.from({ length: 120 }, (_, i) => failover(i + 10)));
  const { failovers } = (await call('')).body;
  expect(failovers).toHaveLength(100);
  expect(failovers[0]).toEqual({ member: idOf('c'), ...failover(129) });
  remembers('c', failover(3));
  expect((await call('')).body.failovers.map(({ member, epoch: of, reason }) => [member, of, reason])).toEqual([
    [idOf('a'), 4, 'handedOver'],
    [idOf('c'), 3, 'closed'],
    [idOf('b'), 2, 'closed'],
    [idOf('a'), 1, 'closed'],
  ]);
});

describe('which member may be restarted', () => {
  const told = async (): Promise<(readonly [string, boolean, string])[]> =>
    (await call('')).body.members.map(({ member, mayRestart, restartSays }) => [member, mayRestart, restartSays]);

  it('any one, while all are in sync', async () => {
    leads('a', follower('b', true), follower('c', true));
    follows('b', 'c');
    expect(await told()).toEqual([
      [idOf('a'), true, 'another member takes over first, and no call fails'],
      [idOf('b'), true, 'the others go on'],
      [idOf('c'), true, 'the others go on'],
    ]);
  });

  it('only the one that is behind, while one is', async () => {
    leads('a', follower('b', true), follower('c', false, 4_096));
    follows('b', 'c');
    const waits = `${idOf('c')} must be back in sync first`;
    expect(await told()).toEqual([
      [idOf('a'), false, waits],
      [idOf('b'), false, waits],
      [idOf('c'), true, 'it is not in sync, and the others go on without it'],
    ]);
  });

  it('not the only one, and none while nobody leads', async () => {
    put('a:1', ['a']);
    leads('a');
    expect(await told()).toEqual([[idOf('a'), false, expect.stringContaining('the only member')]]);
    put(undefined);
    fixture.members.statuses.clear();
    follows(...names);
    expect((await told()).map(([, may]) => may)).toEqual([false, false, false]);
  });

  it('none that is in sync, while no messages are taken', async () => {
    leads('a', follower('b', false), follower('c', false));
    follows('b', 'c');
    expect((await told()).map(([, may]) => may)).toEqual([false, true, true]);
  });
});

it('has the leader hand over, to a member that is named by its place', async () => {
  leads('a', follower('b', true), follower('c', true));
  expect((await call('/election', { to: 'broker-1-b' })).status).toBe(200);
  expect((await call('/election', {})).status).toBe(200);
  expect(fixture.members.asked).toEqual([`a:1: elect ${idOf('b')} in broker-1`, 'a:1: elect anybody in broker-1']);
});

it('has a lost member taken out', async () => {
  leads('a', follower('b', true));
  expect((await call('/replacement', { member: idOf('c') })).status).toBe(200);
  expect(fixture.members.asked).toEqual([`a:1: remove ${idOf('c')} of broker-1`]);
});

it('does not take out a member that is in sync, which may have taken the place of the lost one', async () => {
  leads('a', follower('b', true), follower('c', true));
  follows('b');
  for (const member of [idOf('b'), idOf('a')]) {
    const { status, body } = await call('/replacement', { member });
    expect([status, (body as unknown as { detail: string }).detail]).toEqual([
      409,
      `${member} answers and is in sync: nothing of it is lost`,
    ]);
  }
  expect(fixture.members.asked).toEqual([]);
  // Dead, and its leader has not noticed yet.
  expect((await call('/replacement', { member: idOf('c') })).status).toBe(200);
});

it('lets one member lead alone, and says what that costs', async () => {
  put(undefined);
  const { status, body } = await call('/unclean-election', { member: 'broker-1-c' });
  const told = { member: idOf('c'), grade: 'unclean', from: 4_096, untilMs: 1_800_000_000_000 };
  expect([status, body]).toEqual([200, told]);
  expect(fixture.members.asked).toEqual([`${idOf('c')} alone in broker-1`]);
});

it.each([
  ['/election', { to: 'broker-9' }, 404],
  ['/election', { who: 'b' }, 400],
  ['/replacement', {}, 400],
  ['/replacement', { member: 'broker-1' }, 404],
])('%s with %j is refused with %i', async (path, body, status) => {
  leads('a');
  expect((await call(path, body)).status).toBe(status);
  expect(fixture.members.asked).toEqual([]);
});

it('what the leader refuses is told as it says it', async () => {
  leads('a');
  fixture.members.refusal = new MqError('CONFLICT', 'no member of the set is in sync');
  const { status, body } = await call('/election', {});
  expect([status, (body as unknown as { detail: string }).detail]).toEqual([409, 'no member of the set is in sync']);
});

it('while nobody leads, nobody can be asked', async () => {
  put(undefined);
  expect((await call('/election', {})).status).toBe(503);
});
