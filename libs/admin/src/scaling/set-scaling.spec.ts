// Goal: broker sets follow the pods, and none leaves with messages. Method: a real directory over fake brokers, a fake
// Kubernetes, and a faked clock.
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import {
  homeSets,
  memberId,
  MessageType,
  queueId,
  queueOffset,
  type BrokerSet,
  type BrokerSetStage,
} from '@cometmq/model';
import { FakeKubernetes } from '@cometmq/rpc/testing';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { silentLogger } from '@cometmq/telemetry';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { FakeMembers } from '../testing/fake-members.js';
import { SetScaling } from './set-scaling.js';

describe('broker sets on Kubernetes', () => {
  const clock = new ManualClock();
  const selector = 'app.kubernetes.io/component=broker';
  const listPath = `/apis/apps/v1/namespaces/mq/statefulsets?labelSelector=${encodeURIComponent(selector)}`;
  const notesPath = '/api/v1/namespaces/mq/configmaps/mq-cometmq-scaling';
  const accountPath = '/api/v1/namespaces/mq/serviceaccounts/mq-cometmq-scaling';
  let kubernetes: FakeKubernetes;
  let nameService: FakeNameService;
  let brokers: FakeBrokers;
  let members: FakeMembers;
  let directory: Directory;
  let scaling: SetScaling;
  let orders: Awaited<ReturnType<FakeNameService['createTopic']>>;

  beforeEach(async () => {
    kubernetes = new FakeKubernetes();
    kubernetes.objects.set(notesPath, {});
    kubernetes.objects.set(accountPath, { metadata: { name: 'mq-cometmq-scaling' } });
    [nameService, brokers, members] = [new FakeNameService({ tellsLate: true }), new FakeBrokers(), new FakeMembers()];
    directory = new Directory(nameService, clock);
    await directory.start();
    members.onStage = (name, stage, groupless) => put(name, stage, true, groupless);
    for (const name of ['broker-0', 'broker-1', 'broker-2']) {
      brokers.states.set(name, {});
      put(name, 'serving');
    }
    orders = await nameService.createTopic({ name: 'orders' });
    await turns();
    scaling = new SetScaling({
      context: { directory, brokers, sets: members, clock, requestMsMax: 1_000 },
      ...{ kubernetes, log: silentLogger, selector, notes: 'mq-cometmq-scaling', heldMax: 10, everyMs: 2_000 },
    });
  });
  afterEach(() => directory.stop());

  function put(name: string, stage: BrokerSetStage, isLed = true, groupless = false): void {
    const member = memberId(`${name}/1`);
    nameService.putSet({
      ...{ name, epoch: 1, leaderMember: member, members: [{ member, address: '' }], quorum: 1, inSync: [member] },
      ...{ stage, writable: stage === 'serving', registeredMs: 1, leader: isLed ? `${name}:1` : undefined },
      ...(groupless && { groupless }),
    });
  }
  const pods = (...replicas: number[]): void =>
    void kubernetes.objects.set(listPath, { items: replicas.map((count) => ({ spec: { replicas: count } })) });
  const holds = (unread: number, topicId = orders.id): void =>
    void brokers.topics.set(topicId, {
      queues: [{ queueId: queueId(0), first: queueOffset(0), next: queueOffset(99), unread }],
      bytes: 1,
    });
  const holdsDelayed = (count: number): void => {
    const delayed = Array.from({ length: count }, (_, i) => ({ place: { position: i, dueMs: 1 }, messageId: `${i}` }));
    brokers.waiting.delayed.set('broker-2', delayed as never);
  };
  const stages = (): string[] =>
    [...directory.brokerSets()].map(({ name, stage }) => `${name}: ${stage}`).sort((a, b) => (a < b ? -1 : 1));
  const data = (): Record<string, string> =>
    (kubernetes.objects.get(notesPath)?.['data'] ?? {}) as Record<string, string>;

  async function turns(): Promise<void> {
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  }
  /** A look, and all the time that it takes. */
  async function look(): Promise<void> {
    let over = false;
    const looking = scaling.look().finally(() => (over = true));
    while (!over) {
      await turns();
      clock.advance(50);
    }
    await looking;
    await turns();
  }

  it('drain when their pods are not wanted, leave once they are empty, and come back', async () => {
    pods(3, 3);
    await look();
    expect(stages()).toEqual(['broker-0: serving', 'broker-1: serving', 'broker-2: serving']);
    pods(2, 3); // One place is scaled before the other.
    await look();
    expect(stages()[2]).toBe('broker-2: serving');
    pods(2, 2);
    holds(4);
    await look();
    expect(stages()).toEqual(['broker-0: serving', 'broker-1: serving', 'broker-2: draining']);
    await look();
    expect(stages()[2]).toBe('broker-2: draining');
    expect(JSON.parse(data()['left'] ?? '')).toEqual({
      'broker-2': '4 messages that are not consumed (orders: 4)',
    });
    // It was held for a moment, in vain, and goes on.
    expect(brokers.holds.at(-1)).toEqual({ brokerSet: 'broker-2', holdMs: 0 });
    holds(0);
    await look();
    expect(stages()[2]).toBe('broker-2: gone');
    expect(brokers.holds.at(-1)?.holdMs).toBeGreaterThan(0); // Sends waited until it was out.
    pods(3, 3);
    await look();
    expect(stages()[2]).toBe('broker-2: joining');
    expect(data()['left']).toBe('{}');
  });

  it('are out, and hold nothing up, while only one place alone wants them back', async () => {
    pods(2, 2);
    await look();
    await look();
    put('broker-2', 'gone', false); // Its pods have stopped.
    await turns();
    pods(3, 2);
    clock.advance(60_000);
    await look();
    expect([stages()[2], data()['floor']]).toEqual(['broker-2: gone', '1']);
    pods(3, 3);
    put('broker-2', 'gone'); // They run, and one of them leads.
    await turns();
    await look();
    expect([stages()[2], data()['left']]).toEqual(['broker-2: joining', '{}']);
  });

  it('stay in the routes when a look took longer than sends wait', async () => {
    pods(2);
    holds(0);
    await look(); // It drains from now on.
    put('broker-2', 'draining');
    const { describeTopic } = brokers;
    let looks = 0;
    brokers.describeTopic = async (...call) => {
      // Of the first count of all, and of the last one that takes it out.
      looks += 1;
      if (looks > 1) clock.advance(600);
      return describeTopic.apply(brokers, call);
    };
    await look();
    expect(looks).toBeGreaterThan(1);
    expect(stages()[2]).toBe('broker-2: draining');
  });

  it('whose message groups have begun to go leave before they come back', async () => {
    const steps = await nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    pods(2, 2);
    holds(300, steps.id);
    await look();
    brokers.leavingGroups.add('broker-2');
    pods(3, 3);
    await look();
    expect(stages()[2]).toBe('broker-2: draining');
    expect(JSON.parse(data()['left'] ?? '')).toEqual({ 'broker-2': expect.stringMatching(/^it is wanted again/) });
    holds(0, steps.id);
    await look();
    expect(stages()[2]).toBe('broker-2: gone');
    await look();
    expect(stages()[2]).toBe('broker-2: joining');
    expect(data()['left']).toBe('{}');
  });

  it('let their message groups go while consumers work on what has no order', async () => {
    const steps = await nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    pods(2, 2);
    holds(250);
    holds(1, steps.id);
    await look();
    await look();
    const draining = (): BrokerSet | undefined => directory.brokerSet('broker-2');
    expect(draining()).toMatchObject({ stage: 'draining' });
    expect(draining()).not.toHaveProperty('groupless');
    expect(brokers.holds).toContainEqual({ brokerSet: 'broker-2', holdMs: 1_500, groupsOnly: true });
    holds(0, steps.id);
    await look();
    expect(draining()).toMatchObject({ stage: 'draining', groupless: true });
    expect(homeSets(directory.brokerSets())).toEqual(['broker-0', 'broker-1']);
    brokers.holds.length = 0;
    await look();
    expect(brokers.holds).toEqual([]); // Nothing waits any more for what consumers hold.
    brokers.leavingGroups.add('broker-2');
    pods(3, 3);
    await look();
    expect(draining()).toMatchObject({ stage: 'joining' });
  });

  it('keep their message groups where somebody wants them back in that moment', async () => {
    await nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    pods(2, 2);
    holds(250);
    await look();
    const { holdSends } = brokers;
    brokers.holdSends = async (...call) => {
      put('broker-2', 'serving');
      await holdSends.apply(brokers, call);
    };
    await look();
    expect(directory.brokerSet('broker-2')).toMatchObject({ stage: 'serving' });
  });

  it('that an operator drains are left alone', async () => {
    pods(3, 3);
    await look();
    put('broker-2', 'draining');
    await turns();
    await look();
    expect(stages()[2]).toBe('broker-2: draining');
  });

  it('stay as they are when all of it is stopped or taken away, or nothing can be read', async () => {
    for (const items of [
      [{ spec: { replicas: 0 } }],
      [{ metadata: { deletionTimestamp: 'now' }, spec: { replicas: 1 } }],
      [],
    ]) {
      kubernetes.objects.set(listPath, { items });
      await look();
    }
    kubernetes.fault = new MqError('FORBIDDEN', 'no');
    await expect(scaling.look()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(stages()).toEqual(['broker-0: serving', 'broker-1: serving', 'broker-2: serving']);
  });

  it('say how many must stay, and why', async () => {
    pods(3, 3);
    holds(4); // Of each of the sets.
    holdsDelayed(6);
    await look();
    expect(data()).toMatchObject({ floor: '1' });
    holdsDelayed(7);
    clock.advance(60_000);
    await look();
    expect(data()).toMatchObject({
      floor: '3',
      reason: expect.stringMatching(
        /^broker-2 holds 4 messages .*, 7 delayed messages: too many .*comet cluster remove/,
      ),
    });
    put('broker-2', 'gone');
    put('broker-1', 'serving', false);
    await turns();
    clock.advance(60_000);
    await look();
    expect(data()).toMatchObject({ floor: '2', reason: expect.stringMatching(/^broker-1 is led by nobody/) });
    holdsDelayed(0);
    put('broker-1', 'serving');
    put('broker-0', 'serving', false);
    await turns();
    clock.advance(60_000);
    await look();
    expect(data()).toMatchObject({ floor: '2', reason: expect.stringMatching(/^broker-1 has nobody to hand over to/) });
  });

  it('say it to the admission policy too, also to an account that was made anew', async () => {
    pods(3, 3);
    holdsDelayed(11);
    const said = {
      'cometmq/floor': '3',
      'cometmq/reason': expect.stringMatching(/^broker-2 holds 11 delayed messages/),
    };
    for (let turn = 0; turn < 2; turn += 1) {
      await look();
      expect(kubernetes.objects.get(accountPath)).toEqual({
        metadata: { name: 'mq-cometmq-scaling', annotations: said },
      });
      kubernetes.objects.set(accountPath, { metadata: { name: 'mq-cometmq-scaling' } });
    }
  });

  it('tell once of one that stopped with messages', async () => {
    pods(2, 2);
    holds(4);
    await look();
    await look();
    put('broker-2', 'draining', false);
    await turns();
    await look();
    await look();
    expect(kubernetes.created).toMatchObject([
      {
        path: '/api/v1/namespaces/mq/events',
        object: { type: 'Warning', message: expect.stringMatching(/^broker-2 was scaled in.*4 messages.*scale.*out/) },
      },
    ]);
  });

  it('tell it only once the pods are gone, and again where Kubernetes did not take it', async () => {
    const place = (running: number): object => ({ spec: { replicas: 2 }, status: { replicas: running } });
    kubernetes.objects.set(listPath, { items: [place(2), place(3)] });
    holds(4);
    await look();
    await look();
    put('broker-2', 'draining', false); // Nobody leads for a moment.
    await turns();
    await look();
    expect(kubernetes.created).toEqual([]);
    kubernetes.objects.set(listPath, { items: [place(2), place(2)] });
    const { create } = kubernetes;
    kubernetes.create = () => Promise.reject(new MqError('TIMEOUT', 'no answer'));
    await expect(scaling.look()).rejects.toMatchObject({ code: 'TIMEOUT' });
    kubernetes.create = create;
    await look();
    await look();
    expect(kubernetes.created).toHaveLength(1);
  });
});
