/** How a term begins, and what becomes of one that can't. */
import { epoch, memberId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { type SetMemberWorld, SetWorld } from './set-world.js';

/** The first record of its next term is refused, once. */
function refuseBegin({ broker: { store } }: SetMemberWorld): void {
  const begin = store.beginEpoch.bind(store);
  store.beginEpoch = () => {
    store.beginEpoch = begin;
    return Promise.reject(new MqError('STORAGE_FULL', 'the disk is full'));
  };
}

describe('a term', () => {
  // Goal: nobody believes in a leader that never decides. Method: the first record is refused to all who win.
  it('whose first record is refused is over, and the next one begins', async () => {
    const world = await new SetWorld(3).start();
    await world.send('m0');
    const { leader, followers } = world;
    for (const follower of followers) refuseBegin(follower);
    leader.kill();
    await world.send('m1');
    expect(followers.flatMap(({ said }) => said).join()).toContain('its term could not begin: the disk is full');
    expect((await world.drain()).sort()).toEqual(['m0', 'm1']);
    await leader.start();
    await world.until(() => world.isWhole, 'all are in sync');
    await world.stop();
  });

  it('of whose log the rest can not be folded ends the member, and another one leads', async () => {
    const world = await new SetWorld(3).start();
    await world.send('m0');
    const { leader, followers } = world;
    let damaged = true;
    for (const { broker } of followers) {
      const { replication } = broker.store;
      const lead = replication.lead.bind(replication);
      replication.lead = async () => {
        if (!damaged) return lead();
        damaged = false;
        throw new MqError('CORRUPT_RECORD', 'the log is damaged at 7');
      };
    }
    leader.kill();
    await world.until(() => followers.some(({ failure }) => failure !== undefined), 'who can not lead says so');
    const failed = followers.find(({ failure }) => failure !== undefined);
    expect(failed?.failure).toMatchObject({ code: 'CORRUPT_RECORD', reason: 'the log is damaged at 7' });
    failed?.kill();
    await leader.start();
    await world.send('m1');
    await failed?.start();
    await world.until(() => world.isWhole, 'all are in sync');
    await world.stop();
  });

  // Goal: who hands over waits for nobody that does not stand any more. Method: the successor is cut off from those whose
  // promise it needs, and promises a later epoch itself.
  it('that was handed over and does not come, since another one stands, is told to who waits for it', async () => {
    const world = await new SetWorld(3).start();
    const { leader, network } = world;
    const [next, other] = world.followers as [SetMemberWorld, SetMemberWorld];
    const taking = next.broker.member.handOver(epoch(leader.epoch));
    taking.catch(() => undefined); // Looked at below.
    for (const { address } of [leader, other]) network.cutBoth(next.address, address);
    expect(next.status.role).toBe('standing');
    const candidate = memberId(other.id);
    const promised = next.broker.member.promise({ epoch: epoch(99), candidate, reason: 'silent', sounding: false });
    await expect(world.during(taking, 1_000)).rejects.toMatchObject({ code: 'CONFLICT' });
    await world.during(promised);
    network.healAll();
    await world.send('m0');
    await world.until(() => world.isWhole, 'all are in sync');
    await world.stop();
  });

  // Goal: of three that all miss a leader, one is given the time to become it. Method: one has promised another, and a third asks.
  it('that another one is on its way to is not undone by a third, and each has a time', async () => {
    const world = await new SetWorld(3).start();
    const { leader } = world;
    const [one, other] = world.followers as [SetMemberWorld, SetMemberWorld];
    for (const gone of [leader, other]) gone.kill();
    const asked = (at: number, by: SetMemberWorld, sounding: boolean): Promise<string> => {
      const ask = { epoch: epoch(at), candidate: memberId(by.id), reason: 'silent', sounding } as const;
      return world.during(one.broker.member.promise(ask)).then(({ kind }) => kind);
    };
    await world.pass(2_600); // The leader is not heard any more.
    expect(await asked(99, other, false)).toBe('promised');
    expect([await asked(100, leader, true), await asked(100, other, true)]).toEqual(['refused', 'promised']);
    await world.pass(1_100);
    expect(await asked(100, leader, true)).toBe('promised');
    for (const gone of [leader, other]) await gone.start();
    await world.send('m0');
    await world.until(() => world.isWhole, 'all are in sync');
    await world.stop();
  });

  // Goal: a leader whose term is over keeps the other one of a set of two out no longer than it takes to say so. Method: it hears
  // of a later promise while the registry does not answer it, and then promises the other one an epoch.
  it('that is over is over in the registry too, also where that could not be told at first', async () => {
    const world = await new SetWorld(2).start();
    const { leader } = world;
    const [other] = world.followers as [SetMemberWorld];
    const candidate = memberId(other.id);
    leader.registryAway = other.registryAway = true;
    // Consent given by nobody: it listens to nobody below that epoch any more, and its leader has to stand again.
    await world.during(
      other.broker.member.promise({ epoch: epoch(99), candidate, reason: 'handedOver', sounding: false }),
    );
    await world.until(() => leader.status.role !== 'leading', 'the leader hears of it');
    const ask = { epoch: epoch(200), candidate, reason: 'silent', sounding: false } as const;
    expect(await world.during(leader.broker.member.promise(ask))).toMatchObject({ kind: 'promised' });
    await world.pass(500);
    leader.registryAway = other.registryAway = false;
    await world.send('m0');
    await world.until(() => world.isWhole, 'both are in sync');
    await world.stop();
  });
});
