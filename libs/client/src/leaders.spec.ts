// Goal: of all that is said about who leads, the highest epoch is believed, whoever says it. Method: a directory that is
// told, hints, and members that are asked; the clock is moved by hand.
import { epoch, logPosition, memberId, type BrokerSet, type SetMember } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { Directory } from './directory.js';
import { Leaders } from './leaders.js';
import type { MemberStatus } from './peers.js';
import { FakeNameService } from './testing/fake-name-service.js';

const members: SetMember[] = ['a', 'b', 'c'].map((name) => ({ member: `${name}/1`, address: `${name}:1` }));

let clock: ManualClock;
let directory: Directory;
let leaders: Leaders;
let changes: string[];
let asked: string[];
let says: (address: string) => Partial<MemberStatus>;

beforeEach(async () => {
  clock = new ManualClock();
  asked = [];
  says = () => {
    throw new MqError('UNAVAILABLE', 'away');
  };
  directory = new Directory(new FakeNameService(), clock);
  leaders = new Leaders(directory, clock, async (address, brokerSet) => {
    asked.push(address);
    await Promise.resolve();
    const [name] = address.split(':');
    return {
      ...{ brokerSet, member: memberId(`${name}/1`), role: 'following', says: '', epoch: epoch(1), leader: undefined },
      ...{ appendEnd: logPosition(0), durableEnd: logPosition(0), commitEnd: logPosition(0), state: undefined },
      ...{
        followers: [],
        lastFailover: undefined,
        failovers: [],
        membersWanted: 1,
        stalled: false,
        registryAgeMs: undefined,
        diskFull: false,
        ...says(address),
      },
    };
  });
  await leaders.start();
  changes = [];
  leaders.onChange((name) => changes.push(`${name} ${leaders.leader(name)?.address ?? 'nobody'}`));
  shown(1, 'a:1');
});
afterEach(() => leaders.stop());

let revision = 0;
function shown(at: number, leader: string | undefined): void {
  const broker: BrokerSet = {
    name: 's',
    epoch: at,
    leader,
    inSync: [],
    members,
    quorum: 2,
    stage: 'serving',
    writable: true,
    registeredMs: 0,
  };
  directory.apply({ kind: 'broker', revision: (revision += 1), broker });
}
const heard = (at: number, name: string): void =>
  leaders.heard('s', { epoch: at, address: `${name}:1`, member: `${name}/1` });
const led = (): string | undefined => leaders.leader('s')?.address;
const answers = async (): Promise<void> => {
  for (let i = 0; i < 5; i += 1) await Promise.resolve();
};

it('a hint is believed before the directory says it, and is not undone by an older word of the directory', () => {
  heard(3, 'b');
  expect(led()).toBe('b:1');
  shown(2, 'c:1');
  shown(1, 'a:1');
  expect(led()).toBe('b:1');
  shown(4, 'c:1');
  expect(led()).toBe('c:1');
  expect(changes).toEqual(['s a:1', 's b:1', 's c:1']);
});

it('a hint of an ended term, or of another leader in the same one, is not believed', () => {
  shown(5, 'b:1');
  heard(4, 'a');
  heard(5, 'a');
  expect(led()).toBe('b:1');
});

it('a leader that the name service does not see stays as long as it can be reached', () => {
  shown(1, undefined);
  expect(led()).toBe('a:1');
  leaders.doubt('s', 1);
  expect(led()).toBeUndefined();
  leaders.trust('s', 1);
  expect(led()).toBe('a:1');
});

it('a term that begins without a leader ends the one before', () => {
  shown(2, undefined);
  expect(led()).toBeUndefined();
  heard(2, 'c');
  expect(led()).toBe('c:1');
});

it('doubt of an ended term is no doubt of the present one', () => {
  shown(2, 'b:1');
  leaders.doubt('s', 1);
  expect(leaders.doubtful('s')).toBe(false);
});

it('members are asked while the leader is in doubt and the name service is silent, until one leads', async () => {
  leaders.doubt('s', 1);
  clock.advance(100);
  await answers();
  expect(asked.splice(0).sort()).toEqual(['a:1', 'b:1', 'c:1']);
  expect(led()).toBe('a:1');
  says = (address) => (address === 'c:1' ? { role: 'leading', epoch: epoch(2) } : {});
  clock.advance(300);
  await answers();
  expect(led()).toBe('c:1');
  asked.length = 0;
  clock.advance(10_000);
  expect(asked).toEqual([]);
});

it('a follower’s word of its leader will do, and an older one’s will not', async () => {
  shown(4, 'a:1');
  leaders.doubt('s', 4);
  says = (address) =>
    address === 'b:1'
      ? { epoch: epoch(5), leader: memberId('c/1') }
      : address === 'a:1'
        ? { role: 'leading', epoch: epoch(3) }
        : {};
  clock.advance(100);
  await answers();
  expect(led()).toBe('c:1');
});

it('a set that is deleted has no leader', () => {
  const broker = directory.brokerSet('s');
  directory.apply({ kind: 'brokerDeleted', revision: (revision += 1), broker: broker! });
  expect(led()).toBeUndefined();
});

it('members of a set that nobody leads for long are asked seldom, and a new leader is found all the same', async () => {
  shown(1, undefined);
  leaders.doubt('s', 1);
  for (let passed = 0; passed < 60_000; passed += 100) {
    clock.advance(100);
    await answers();
  }
  const often = asked.length;
  for (let passed = 0; passed < 60_000; passed += 100) {
    clock.advance(100);
    await answers();
  }
  expect(asked.length - often).toBe(20 * members.length);
  says = (address) => (address === 'c:1' ? { role: 'leading', epoch: epoch(2) } : {});
  clock.advance(3_000);
  await answers();
  expect(led()).toBe('c:1');
});
