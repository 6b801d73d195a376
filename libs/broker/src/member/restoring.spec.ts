/** A member whose data folder is damaged where it can't be opened: the others have what it lost. */
import type { MemoryDisk } from '@cometmq/store/testing';

import { brokerSet, SetWorld } from './set-world.js';
import type { SetMemberWorld } from './set-world.js';

const onDisk = { checkpoints: undefined };

async function sent(world: SetWorld, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i += 1) await world.send(`m${i}`);
}

/** Of the log's newest segment, or of the newest checkpoint file: bytes near its beginning. */
async function damage(disk: MemoryDisk, folder: 'log' | 'state'): Promise<void> {
  const suffix = folder === 'log' ? '.log' : '.pieces';
  const name = (await disk.list(`data/${folder}`)).findLast((one) => one.endsWith(suffix));
  if (name === undefined) throw new Error(`no file of ${folder}`);
  disk.peek(`data/${folder}/${name}`).fill(7, 10, 20);
}

function stored(member: SetMemberWorld): number {
  return member.broker.store.sizes.messages;
}

describe('a member whose data folder is damaged', () => {
  it.each(['log', 'state'] as const)('takes it anew of the leader, and is the same member (%s)', async (folder) => {
    const world = await new SetWorld(3, onDisk).start();
    await sent(world, 0, 10);
    await world.until(() => world.isWhole, 'all have all');
    const [hurt] = world.followers as [SetMemberWorld];
    const { id } = hurt;
    await world.during(hurt.broker.store.checkpoint());
    await sent(world, 10, 5);
    hurt.kill();
    await damage(hurt.disk, folder);
    await sent(world, 15, 5);
    await hurt.start();
    await world.until(() => world.isWhole, 'it is whole again');
    expect([hurt.id, stored(hurt), hurt.failure]).toEqual([id, 20, undefined]);
    expect(hurt.broker.store.damage.all).toEqual([]);
    // It can lead.
    const { leader } = world;
    leader.kill();
    await sent(world, 20, 3);
    await world.stop();
  });

  it('that led takes it anew of who leads by then', async () => {
    const world = await new SetWorld(3, onDisk).start();
    await sent(world, 0, 10);
    const { leader: hurt } = world;
    hurt.kill();
    await damage(hurt.disk, 'log');
    await sent(world, 10, 5);
    await hurt.start();
    await world.until(() => world.isWhole, 'it is whole again');
    expect(world.members.map(stored)).toEqual([15, 15, 15]);
    await world.stop();
  });

  // Goal: what counts is what the set is now. Method: meanwhile the metadata was set back, and brought back as members knew it.
  it.each(['log', 'state'] as const)(
    'takes it of a set whose metadata was brought back meanwhile (%s)',
    async (folder) => {
      const world = await new SetWorld(3, onDisk).start();
      await sent(world, 0, 10);
      await world.until(() => world.isWhole, 'all have all');
      const [hurt] = world.followers as [SetMemberWorld];
      await world.during(hurt.broker.store.checkpoint());
      hurt.kill();
      await damage(hurt.disk, folder);
      const { leader } = world;
      world.registry.isAdopted(brokerSet, leader.broker.member.leading!.members);
      await world.until(() => world.leaders.some(({ epoch }) => epoch > 1), 'somebody leads again');
      await hurt.start();
      await world.until(() => world.isWhole, 'it is whole again');
      expect(stored(hurt)).toBe(10);
      await world.stop();
    },
  );

  // Goal: who is needed to bring metadata back is there. Method: what the damaged one reads is of an earlier generation.
  it('takes damaged records of another one, whatever the metadata says', async () => {
    const world = await new SetWorld(3, onDisk).start();
    await sent(world, 0, 10);
    await world.until(() => world.isWhole, 'all have all');
    const [hurt] = world.followers as [SetMemberWorld];
    hurt.kill();
    await damage(hurt.disk, 'log');
    const { registry } = world;
    const readSet = registry.readSet.bind(registry);
    registry.readSet = async (set) => ({ ...(await readSet(set)), generation: 0 });
    await hurt.start();
    expect(hurt.said.join()).toContain('it was set back to an older state');
    expect(hurt.said.join()).toContain('damaged records of the log were taken of another member');
    await world.until(() => world.isWhole, 'it is whole again');
    await world.stop();
  });

  it('and who is alone says where it is damaged, and changes nothing', async () => {
    const world = await new SetWorld(1, onDisk).start();
    await sent(world, 0, 10);
    const [hurt] = world.members as [SetMemberWorld];
    hurt.kill();
    await damage(hurt.disk, 'log');
    await expect(hurt.start()).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
  });

  // Goal: what one of two has lost the other one has, though nobody leads. Method: one goes on alone, ends, and is damaged.
  it.each([
    ['the first record of its newest segment', 10, 0],
    ['that record, after it went on alone', 10, 5],
    ['the last record, without which nobody could tell that it was there', -3, 0],
    ['many of them', 0, 5],
  ])('and who alone belongs to the set takes what it lost of the one that does not (%s)', async (_, at, alone) => {
    const { world, hurt, other } = await goneOnAlone(alone);
    await damageNewest(hurt.disk, at);
    await other.start();
    await hurt.start();
    await world.until(() => world.isWhole, 'both are in the set, and have the same');
    expect([hurt.failure, ...world.members.map(stored)]).toEqual([undefined, 10 + alone, 10 + alone]);
    expect(hurt.said.join()).toContain('damaged records of the log were taken of another member');
    await world.stop();
  });

  it('and alone belongs to the set says what nobody else has, and changes nothing', async () => {
    const { world, hurt, other } = await goneOnAlone(1);
    await damageNewest(hurt.disk, -3);
    const name = `data/log/${(await hurt.disk.list('data/log')).findLast((one) => one.endsWith('.log'))}`;
    const before = Buffer.from(hurt.disk.peek(name));
    await other.start();
    await expect(hurt.start(90_000)).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
    expect(hurt.disk.peek(name).equals(before)).toBe(true);
    expect(world.leaders).toEqual([]);
    await other.stop();
  });
});

/** A set of two with ten messages, of which one member is down, and the other one went on alone and is down now, too. */
async function goneOnAlone(
  sentAlone: number,
): Promise<{ world: SetWorld; hurt: SetMemberWorld; other: SetMemberWorld }> {
  const world = await new SetWorld(2, onDisk).start();
  await sent(world, 0, 10);
  await world.until(() => world.isWhole, 'both have all');
  const { leader: hurt } = world;
  const [other] = world.followers as [SetMemberWorld];
  other.kill();
  await world.until(() => hurt.broker.member.leading?.members.members.length === 1, 'it goes on alone');
  await sent(world, 10, sentAlone);
  await world.pass(500); // What was synced is noted a little later.
  hurt.kill();
  return { world, hurt, other };
}

/** Bytes of the log's newest segment: at a place, behind its last record (negative), or all over it (0). */
async function damageNewest(disk: MemoryDisk, at: number): Promise<void> {
  const name = (await disk.list('data/log')).findLast((one) => one.endsWith('.log'));
  const bytes = disk.peek(`data/log/${name}`);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  if (at === 0) for (let i = 100; i < 1_000; i += 200) bytes[i] = (bytes[i] as number) ^ 1;
  else bytes[at > 0 ? at : end + at] = (bytes[at > 0 ? at : end + at] as number) ^ 1;
}
