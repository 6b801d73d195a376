/**
 * Goal: what a broker set that leaves still holds comes to the sets that stay, each message once, for the groups that were not
 * done with it, as often tried as it was; whatever breaks on the way. Method: two sets of real brokers on faked clocks, disks and
 * network; groups that consume at the one set until it leaves, and at the other from then on.
 */
import type { ConsumerGroup } from '@cometmq/model';

import { bodyOf, SetWorld } from '../member/set-world.js';

class Cluster {
  readonly staying: SetWorld;
  leaving!: SetWorld;

  constructor(private readonly members = 1) {
    this.staying = new SetWorld(members);
  }

  async start(): Promise<this> {
    await this.staying.start();
    this.leaving = new SetWorld(this.members, { brokerName: 'broker-1' }, false, this.staying);
    await this.leaving.start();
    this.tell();
    return this;
  }

  get nameService(): SetWorld['nameService'] {
    return this.staying.nameService;
  }

  /** Who leads, as the name service says it. */
  tell(stage: 'serving' | 'draining' | 'gone' = 'serving'): void {
    for (const [set, itsStage] of [
      [this.staying, 'serving'],
      [this.leaving, stage],
    ] as const) {
      const leader = set.leaders[0]?.address;
      this.nameService.putSet({ name: set.name, stage: itsStage, ...(leader !== undefined && { leader }) });
    }
  }

  /** It leaves, and all that can go has gone. */
  async drain(isOver = () => this.left === 0): Promise<void> {
    this.tell('draining');
    await this.leaving.until(isOver, 'all has gone');
  }

  /** Messages that are not with the other set. */
  get left(): number {
    const { backlogs, views } = this.leaving.leader.broker;
    let sum = views.transfers.open().length;
    for (const groupId of backlogs.groupIds()) {
      for (const { ready, inFlight, blocked } of backlogs.of(groupId)) sum += ready + inFlight + blocked;
    }
    return sum;
  }

  /** What the group has to do at a set. */
  lag(set: SetWorld, group: ConsumerGroup): number {
    return set.leader.broker.backlogs
      .of(group.id)
      .reduce((sum, one) => sum + one.ready + one.inFlight + one.blocked, 0);
  }

  stop(): Promise<unknown> {
    return Promise.all([this.staying.stop(), this.leaving.stop()]);
  }
}

describe('a broker set that leaves', () => {
  it('hands over what a group is not done with: for it alone, once, as often tried as it was', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const [late, early] = [
      await nameService.createGroup({ name: 'late', attemptsMax: 5 }),
      await nameService.createGroup({ name: 'early' }),
    ];
    await leaving.poll({ groupId: late.id });
    await leaving.poll({ groupId: early.id });
    for (const id of ['a', 'b', 'c', 'd']) await leaving.send(id);
    // The one group is done with the first three; the other one has failed with the first one twice.
    for (const { receipt, payload } of await leaving.poll({ groupId: early.id })) {
      if (bodyOf(payload) !== 'd') await leaving.ack(receipt);
    }
    for (const attempt of [1, 2]) {
      const [first] = await leaving.poll({ groupId: late.id, messagesMax: 1 });
      expect([bodyOf(first!.payload), first!.receipt.attempt]).toEqual(['a', attempt]);
      await leaving.pass(5_100);
    }
    await cluster.drain();
    expect([cluster.lag(staying, late), cluster.lag(staying, early)]).toEqual([4, 1]);
    expect(await leaving.poll({ groupId: late.id })).toEqual([]);
    const came = await staying.poll({ groupId: late.id });
    expect(came.map(({ payload, receipt }) => [bodyOf(payload), receipt.attempt])).toEqual([
      ['a', 3],
      ['b', 1],
      ['c', 1],
      ['d', 1],
    ]);
    const again = await staying.poll({ groupId: early.id });
    expect(again.map(({ payload, receipt }) => [bodyOf(payload), receipt.attempt])).toEqual([['d', 2]]);
    for (const { receipt } of [...came, ...again]) await staying.ack(receipt);
    expect([cluster.lag(staying, late), cluster.lag(staying, early)]).toEqual([0, 0]);
    await cluster.stop();
  });

  it('hands over what nobody has ever read, for whoever comes', async () => {
    const cluster = await new Cluster().start();
    for (const id of ['a', 'b']) await cluster.leaving.send(id);
    const { broker } = cluster.leaving.leader;
    await cluster.drain(() => broker.views.transfers.sent === 2);
    expect(await cluster.staying.drain()).toEqual(['a', 'b']);
    await cluster.stop();
  });
});
