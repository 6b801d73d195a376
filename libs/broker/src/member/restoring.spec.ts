/** A member whose data folder is damaged where it can't be opened: the others have what it lost. */
import type { MemoryDisk } from '@cometmq/store/testing';

import { SetWorld } from './set-world.js';
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

  it('and who is alone says where it is damaged, and changes nothing', async () => {
    const world = await new SetWorld(1, onDisk).start();
    await sent(world, 0, 10);
    const [hurt] = world.members as [SetMemberWorld];
    hurt.kill();
    await damage(hurt.disk, 'log');
    await expect(hurt.start()).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
  });
});
