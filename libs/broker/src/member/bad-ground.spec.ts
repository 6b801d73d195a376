/** What a set does where one of its members is given the wrong ground to stand on: a folder, a clock, a registry. */
import { brokerSet, type SetMemberWorld, SetWorld } from './set-world.js';

const dayMs = 24 * 3_600_000;
const range = (from: number, end: number): string[] => Array.from({ length: end - from }, (_, i) => `m${from + i}`);

async function sendAll(world: SetWorld, ids: readonly string[]): Promise<void> {
  for (const id of ids) await world.send(id);
}

describe('a member on an older copy of its own data folder', () => {
  it.each([
    ['a follower', (world: SetWorld) => world.followers[0] as SetMemberWorld],
    ['the one that led', (world: SetWorld) => world.leader],
  ])('that is started under load has all again, and nothing is lost (%s)', async (_, which) => {
    const world = await new SetWorld(3, {}, true).start();
    await sendAll(world, range(0, 5));
    await world.until(() => world.isWhole, 'all have it');
    const place = which(world);
    const older = place.disk.settled();
    await sendAll(world, range(5, 20));
    await world.until(() => world.isWhole, 'all have acknowledged it');
    place.kill();
    place.disk = older;
    const started = place.start();
    await sendAll(world, range(20, 30));
    await world.during(started);
    await world.until(() => world.isWhole, 'it has caught up');
    // Whoever lacks something now has nobody to get it of.
    world.leader.kill();
    await world.send('m30');
    await world.pass(6_000);
    expect((await world.drain()).sort()).toEqual(range(0, 31).sort());
    await world.stop();
  });

  it('counts for nothing that it had acknowledged, and its leader says so', async () => {
    const world = await new SetWorld(3, {}, true).start();
    const [place] = world.followers as [SetMemberWorld];
    const { leader } = world;
    const older = place.disk.settled();
    await sendAll(world, range(0, 10));
    await world.until(() => world.isWhole, 'all have acknowledged it');
    place.kill();
    place.disk = older;
    await place.start();
    await world.until(() => world.isWhole, 'it has caught up');
    const said = leader.said.filter((line) => line.includes('lacks what it had acknowledged'));
    expect(said).toEqual([expect.stringContaining(`error a member lacks`)]);
    expect(said[0]).toContain(place.id);
    await world.stop();
  });
});

describe('a member on the data folder of a set with another name', () => {
  it('says so and stops, also where one that stops waits for its set', async () => {
    const world = await new SetWorld(3, { restartWaitMs: 60_000 }).start();
    const other = await new SetWorld(1, { brokerName: 'other' }).start();
    await other.stop();
    const [place] = world.followers as [SetMemberWorld];
    place.kill();
    place.disk = other.members[0]!.disk;
    await expect(place.start()).rejects.toMatchObject({
      code: 'DATA_FOLDER',
      reason: expect.stringContaining('other') as string,
    });
    const beganMs = world.clock.monotonicMs();
    await world.during(place.stop());
    expect(world.clock.monotonicMs() - beganMs).toBeLessThan(1_000);
    await world.send('m0');
    for (const each of world.up) each.kill();
  });
});

describe('a member whose clock is a day off', () => {
  it.each([
    ['ahead', dayMs],
    ['behind', -dayMs],
  ])('leads on when it jumps, and nothing is lost (%s)', async (_, skewMs) => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 3));
    const { leader, epoch } = { leader: world.leader, epoch: world.leader.epoch };
    const logClock = (): number => leader.broker.store.lastTimestampMs;
    const beforeMs = logClock();
    leader.wallSkewMs = skewMs;
    await sendAll(world, range(3, 6));
    // The log's time neither jumps nor goes back.
    expect(logClock()).toBeGreaterThanOrEqual(beforeMs);
    expect(logClock() - beforeMs).toBeLessThan(60_000);
    await world.pass(10_000);
    expect([world.leader, world.leader.epoch]).toEqual([leader, epoch]);
    expect((await world.drain()).sort()).toEqual(range(0, 6));
    await world.stop();
  });

  it.each([
    ['ahead', dayMs],
    ['behind', -dayMs],
  ])('may take the lead, and give it back to one whose clock is right (%s)', async (_, skewMs) => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 3));
    const right = world.leader;
    const [wrong] = world.followers as [SetMemberWorld];
    wrong.wallSkewMs = skewMs;
    await world.during(right.broker.member.handOverLead(wrong.broker.member.me));
    expect(world.leader).toBe(wrong);
    await sendAll(world, range(3, 6));
    const atWrongMs = wrong.broker.store.lastTimestampMs;
    await world.until(() => world.isWhole, 'all follow');
    await world.during(wrong.broker.member.handOverLead(right.broker.member.me));
    await sendAll(world, range(6, 9));
    expect(right.broker.store.lastTimestampMs).toBeGreaterThanOrEqual(atWrongMs);
    await world.pass(6_000);
    expect((await world.drain()).sort()).toEqual(range(0, 9));
    await world.stop();
  });
});

describe('a registry that was emptied under a running set', () => {
  it('is believed by nobody: the leader goes on and says so, and nobody stands when it is gone', async () => {
    const world = await new SetWorld(3).start();
    const { leader } = world;
    world.registry.becomesEmpty('store-2');
    await world.pass(5_000);
    expect(world.leader).toBe(leader);
    expect(await world.send('m0')).toBeLessThan(50);
    for (const { said } of world.members)
      expect(said.join()).toMatch(/error the metadata is not the one that this log/);
    leader.kill();
    await world.pass(10_000);
    expect(world.leaders).toHaveLength(0);
    for (const member of world.up) {
      expect(member.status.says).toMatch(/^nobody stands for the lead: /);
      member.kill();
    }
  });
});

describe('a registry that was set back under a running set', () => {
  // Goal: one verb, and no pause of a lease. Method: the registry is as it was before a hand-over, and then as members know it.
  it('stops nobody, and once what was known is brought back somebody leads at once', async () => {
    const world = await new SetWorld(3).start();
    const backup = world.registry.backup();
    await world.during(world.leader.broker.member.handOverLead());
    await world.until(() => world.isWhole, 'all follow');
    const { leader } = world;
    const { epoch } = leader;
    const known = leader.broker.member.leading!.members;
    world.registry.setBackTo(backup);
    await world.pass(10_000);
    expect([world.leader, world.leader.epoch]).toEqual([leader, epoch]);
    expect(await world.send('m0')).toBeLessThan(50);

    world.registry.isAdopted(brokerSet, known);
    await world.until(() => world.leaders.length === 0, 'its term is over');
    const awayMs = await world.send('m1');
    expect(awayMs).toBeLessThan(500); // By the world's clock; a lease is 3 s.
    await world.until(() => world.isWhole, 'all follow');
    expect((await world.drain()).sort()).toEqual(['m0', 'm1']);
    await world.stop();
  });

  it('lets one that is alone lead again at once when what was known is brought back', async () => {
    const world = await new SetWorld(1).start();
    const { leader } = world;
    const { epoch } = leader;
    world.registry.isAdopted(brokerSet, leader.broker.member.leading!.members);
    // It hears of it within a third of a lease, which is 3 s, by the world's clock.
    const tookMs = await world.until(() => world.leaders.some((each) => each.epoch > epoch), 'it leads again');
    expect(tookMs).toBeLessThan(2_000);
    await world.send('m0');
    expect(await world.drain()).toEqual(['m0']);
    await world.stop();
  });

  // Goal: nobody is left waiting for one that was promised an epoch. Method: it is told to stop while it stands.
  it('has a leader at once, where the one that stands is told to stop then', async () => {
    const world = await new SetWorld(3).start();
    const { leader } = world;
    world.registry.isAdopted(brokerSet, leader.broker.member.leading!.members);
    const stands = ({ status }: SetMemberWorld): boolean => status.role === 'standing';
    await world.until(() => world.up.some(stands), 'one stands');
    const awayFromMs = world.clock.monotonicMs();
    const stopping = (world.up.find(stands) as SetMemberWorld).stop();
    await world.send('m0');
    expect(world.clock.monotonicMs() - awayFromMs).toBeLessThan(500); // By the world's clock; a lease is 3 s.
    await world.during(stopping);
    expect(world.leader.status.lastFailover).toMatchObject({ reason: 'handedOver' });
    expect(await world.drain()).toEqual(['m0']);
    await world.stop();
  });
});
