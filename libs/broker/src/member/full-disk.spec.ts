/** A leader whose disk is full, in a set where another member has room, and where none has. */
import type { SendResult } from '@cometmq/client';
import { KiB } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { settle } from '../broker-world.js';
import { sendCall, type SetMemberWorld, SetWorld } from './set-world.js';

const bodyBytes = 4 * KiB;

/** As a proxy sends: once, to whoever leads. @returns its code */
async function send(world: SetWorld, leader: SetMemberWorld, n: number): Promise<string> {
  const id = `${n} `.padEnd(bodyBytes, 'x');
  const sent = settle<SendResult>((done) => leader.broker.send(sendCall(world.topic, 0, id, {}), done));
  return world.during(
    sent.then(
      () => 'stored',
      (caught: unknown) => MqError.from(caught).code,
    ),
  );
}

/** Sends until it is answered so. @returns all answers on the way */
async function sendUntil(
  world: SetWorld,
  leader: () => SetMemberWorld,
  isLast: (code: string) => boolean,
): Promise<string[]> {
  const codes: string[] = [];
  for (let n = 0; n < 400; n += 1) {
    codes.push(await send(world, leader(), n));
    if (isLast(codes.at(-1) ?? '')) return codes;
  }
  throw new Error(`it never was: ${[...new Set(codes)].join()}`);
}

describe('a leader whose disk is full', () => {
  it('hands over to a member that has room, and no message is refused for it', async () => {
    const world = await new SetWorld(3).start();
    const { leader, followers } = world;
    leader.disk.capacityBytes = leader.disk.usedBytes() + 300 * KiB;
    const codes = await sendUntil(
      world,
      () => leader,
      (code) => code !== 'stored',
    );
    expect(codes.at(-1)).toBe('NOT_LEADER');
    await world.until(() => world.leaders.length > 0, 'another one leads');
    expect(followers).toContain(world.leader);
    expect(world.leader.status.lastFailover).toMatchObject({ reason: 'handedOver' });
    expect(await send(world, world.leader, 1_000)).toBe('stored');
    leader.disk.capacityBytes = Infinity;
    await world.until(() => world.isWhole, 'it follows, as there is room again');
    await world.stop();
  });

  // Goal: a hand-over makes no leader that refuses messages. Method: the follower that is asked first was full a moment ago.
  it.each(['asked for', 'since it stops'])('is not one to which the lead is handed over (%s)', async (why) => {
    const world = await new SetWorld(3).start();
    const { leader, members } = world;
    const [first] = leader.broker.member.leading!.successors;
    const full = members.find(({ id }) => id === first?.member) as SetMemberWorld;
    full.disk.capacityBytes = full.disk.usedBytes() + 100 * KiB;
    for (let n = 0; !full.status.diskFull; n += 1) expect(await send(world, leader, n)).toBe('stored');
    full.disk.capacityBytes = Infinity;
    await world.until(() => world.isWhole, 'it has caught up');
    expect([full.status.diskFull, leader.broker.member.leading!.successors[0]?.member]).toEqual([true, full.id]);
    if (why === 'asked for') await world.during(leader.broker.member.handOverLead());
    else await world.during(leader.stop());
    expect(world.leader.status.diskFull).toBe(false);
    if (!leader.isUp) await leader.start();
    await world.until(() => world.isWhole, 'all follow');
    await world.stop();
  });

  it('goes on where none has room, and says so; the lead does not go round', async () => {
    const world = await new SetWorld(3).start();
    const { leader, members } = world;
    const { epoch } = leader;
    for (const { disk } of members) disk.capacityBytes = disk.usedBytes() + 300 * KiB;
    let last = leader;
    const codes = await sendUntil(
      world,
      () => (last = world.leaders.at(-1) ?? last),
      (code) => code === 'STORAGE_FULL',
    );
    expect(new Set(codes)).toEqual(new Set([...(last === leader ? [] : ['NOT_LEADER']), 'stored', 'STORAGE_FULL']));
    // Each of the others at most once, as long as a little room was left there.
    const led = world.leader.epoch;
    expect(led - epoch).toBeLessThanOrEqual(2);
    await world.pass(12_000);
    expect(world.leader.epoch).toBe(led);
    for (const { disk } of members) disk.capacityBytes = Infinity;
    await world.until(() => world.leader.broker.writable, 'there is room again');
    expect(await send(world, world.leader, 1_000)).toBe('stored');
    await world.until(() => world.isWhole, 'all follow');
    await world.stop();
  });
});
