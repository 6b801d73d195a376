// Goal: a new broker set takes message groups only when none of their messages can be overtaken. Method: a real directory
// over fake brokers, and a faked clock.
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { MessageType, memberId, queueId, queueOffset, type BrokerSetStage, type GroupId } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';
import { silentLogger } from '@cometmq/telemetry';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { FakeMembers } from '../testing/fake-members.js';
import { JoiningSets } from './joining-sets.js';

describe('a broker set that joins', () => {
  let clock: ManualClock;
  let nameService: FakeNameService;
  let brokers: FakeBrokers;
  let directory: Directory;
  let joining: JoiningSets;
  let reader: GroupId;

  beforeEach(async () => {
    clock = new ManualClock();
    nameService = new FakeNameService({ tellsLate: true });
    brokers = new FakeBrokers();
    const members = new FakeMembers();
    members.onStage = (name, stage) => put(name, stage);
    directory = new Directory(nameService, clock);
    await directory.start();
    put('broker-0', 'serving');
    put('broker-1', 'joining');
    put('broker-2', 'joining');
    for (const name of ['broker-0', 'broker-1', 'broker-2']) brokers.states.set(name, {});
    reader = (await nameService.createGroup({ name: 'readers' })).id;
    await turns();
    const context = { directory, brokers, sets: members, clock, requestMsMax: 1_000 };
    joining = new JoiningSets({ context, log: silentLogger, everyMs: 1_000 });
  });
  afterEach(() => directory.stop());

  function put(name: string, stage: BrokerSetStage, isLed = true): void {
    const member = memberId(`${name}/1`);
    nameService.putSet({
      ...{ name, epoch: 1, leaderMember: member, members: [{ member, address: '' }], quorum: 1, inSync: [member] },
      ...{ stage, writable: true, registeredMs: 1, leader: isLed ? `${name}:1` : undefined },
    });
  }
  async function ordered(ready: number): Promise<(ready: number) => void> {
    const { id: topicId } = await nameService.createTopic({ name: 'orders', type: MessageType.fifo });
    await turns();
    const bounds = { committed: queueOffset(0), frontier: queueOffset(0), queueFirst: queueOffset(0) };
    const queue = {
      topicId,
      queueId: queueId(0),
      ...bounds,
      queueNext: queueOffset(9),
      inFlight: 0,
      blocked: 0,
      lanes: 0,
    };
    const has = (count: number): void =>
      void brokers.groups.set(reader, { queues: [{ ...queue, ready: count }], sums: [], members: [] });
    has(ready);
    return has;
  }
  const stages = (): (string | undefined)[] =>
    ['broker-0', 'broker-1', 'broker-2'].map((name) => directory.brokerSet(name)?.stage);

  async function turns(): Promise<void> {
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  }
  async function look(): Promise<void> {
    let over = false;
    const looking = joining.look().finally(() => (over = true));
    while (!over) {
      await turns();
      clock.advance(50);
    }
    await looking;
    await turns();
  }

  it('takes message groups at once where no topic has any, one set after the other', async () => {
    await look();
    expect(stages()).toEqual(['serving', 'serving', 'joining']);
    await look();
    expect(stages()).toEqual(['serving', 'serving', 'serving']);
    expect(brokers.holds).toEqual([]);
  });

  it('takes them once those of all others are consumed, while new messages of groups wait', async () => {
    const has = await ordered(3);
    put('broker-2', 'serving');
    await turns();
    const looking = look();
    await turns();
    expect(brokers.holds).toEqual(
      ['broker-0', 'broker-2'].map((brokerSet) => ({ brokerSet, holdMs: 1_500, groupsOnly: true })),
    );
    expect(stages()[1]).toBe('joining');
    has(0);
    await looking;
    expect(stages()).toEqual(['serving', 'serving', 'serving']);
    expect(brokers.holds.slice(2)).toEqual(
      ['broker-0', 'broker-2'].map((brokerSet) => ({ brokerSet, holdMs: 10_000, groupsOnly: true })), // For the change.
    );
  });

  it('goes without them while consumers do not keep up, and holds nobody up again and again', async () => {
    const has = await ordered(3);
    await look();
    expect([stages()[1], brokers.holds.length]).toEqual(['joining', 2]);
    has(0);
    await look();
    expect([stages()[1], brokers.holds.length]).toEqual(['joining', 2]);
    clock.advance(10_000);
    await look();
    expect(stages()[1]).toBe('serving');
  });

  it('does not take them where one came after all while the change was about to be made', async () => {
    const has = await ordered(0);
    const holdSends = brokers.holdSends.bind(brokers);
    brokers.holdSends = async (...call) => {
      if (call[1] === 10_000) has(1); // Committed only now.
      await holdSends(...call);
    };
    await look();
    expect([stages()[1], brokers.holds.at(-1)]).toEqual([
      'joining',
      { brokerSet: 'broker-0', holdMs: 0, groupsOnly: true },
    ]);
  });

  it('does not take them where it was drained meanwhile', async () => {
    await ordered(0);
    const looking = look();
    await turns();
    put('broker-1', 'draining');
    await looking;
    expect(stages()[1]).toBe('draining');
  });

  it('does not even try while there is much, or while nobody can say what a set has', async () => {
    const has = await ordered(201);
    await look();
    expect([stages()[1], brokers.holds]).toEqual(['joining', []]);
    has(0);
    put('broker-0', 'serving', false);
    await turns();
    clock.advance(60_000);
    await look();
    expect([stages()[1], brokers.holds]).toEqual(['joining', []]);
    put('broker-0', 'serving');
    await turns();
    await look();
    expect(stages()[1]).toBe('serving');
  });
});
