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
  leader: SetMemberWorld,
  isLast: (code: string) => boolean,
): Promise<string[]> {
  const codes: string[] = [];
  for (let n = 0; n < 200; n += 1) {
    codes.push(await send(world, leader, n));
    if (isLast(codes.at(-1) ?? '')) return codes;
  }
  throw new Error(`it never was: ${[...new Set(codes)].join()}`);
}

describe('a leader whose disk is full', () => {
  it('hands over to a member that has room, and no message is refused for it', async () => {
    const world = await new SetWorld(3).start();
    const { leader, followers } = world;
    leader.disk.capacityBytes = leader.disk.usedBytes() + 300 * KiB;
    const codes = await sendUntil(world, leader, (code) => code !== 'stored');
    expect(codes.at(-1)).toBe('NOT_LEADER');
    await world.until(() => world.leaders.length > 0, 'another one leads');
    expect(followers).toContain(world.leader);
    expect(world.leader.status.lastFailover).toMatchObject({ reason: 'handedOver' });
    expect(await send(world, world.leader, 1_000)).toBe('stored');
    leader.disk.capacityBytes = Infinity;
    await world.until(() => world.isWhole, 'it follows, as there is room again');
    await world.stop();
  });

  it('goes on where none has room, and says so', async () => {
    const world = await new SetWorld(3).start();
    const { leader, members } = world;
    const { epoch } = leader;
    for (const { disk } of members) disk.capacityBytes = disk.usedBytes() + 300 * KiB;
    await sendUntil(world, leader, (code) => code === 'STORAGE_FULL');
    await world.pass(12_000);
    expect([world.leader, world.leader.epoch]).toEqual([leader, epoch]);
    for (const { disk } of members) disk.capacityBytes = Infinity;
    await world.until(() => leader.broker.writable, 'there is room again');
    expect(await send(world, leader, 1_000)).toBe('stored');
    await world.until(() => world.isWhole, 'all follow');
    await world.stop();
  });
});
