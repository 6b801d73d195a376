/** Three brokers of one set: real stores, faked clock, disks and network. */
import { SetWorld } from './set-world.js';

const range = (from: number, end: number): string[] => Array.from({ length: end - from }, (_, i) => `m${from + i}`);

async function sendAll(world: SetWorld, ids: readonly string[]): Promise<void> {
  for (const id of ids) await world.send(id);
}

describe('a broker set of three', () => {
  it('is founded by whoever comes first, and takes the others in', async () => {
    const world = await new SetWorld(3).start();
    expect(world.leaders).toHaveLength(1);
    expect(world.leader.broker.member.status()).toMatchObject({ role: 'leading', says: 'protected' });
    for (const { broker } of world.followers) {
      expect(broker.member.status()).toMatchObject({ role: 'following', leader: world.leader.id });
      expect(broker.unready()).toBeUndefined();
    }
    await world.stop();
  });

  it('goes on after its leader was killed, with all that was acknowledged and all progress of its consumers', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 20));
    const first = await world.poll({ messagesMax: 8 });
    for (const { receipt } of first.slice(0, 5)) await world.ack(receipt);
    const { leader, followers } = world;
    const { epoch } = leader;
    leader.kill();
    const tookMs = await world.send('m20');
    expect(followers).toContain(world.leader);
    expect(world.leader.epoch).toBeGreaterThan(epoch);
    expect(tookMs).toBeLessThan(1_500);
    await world.pass(5_000); // What was only handed out comes again after its lease.
    const rest = await world.drain();
    expect(rest.sort()).toEqual(range(5, 21).sort());
    await world.stop();
  });

  it('has a follower back as soon as it is there again, in the same epoch', async () => {
    const world = await new SetWorld(3).start();
    await world.pass(5_000); // All is noted that there is to note.
    const { epoch } = world.leader;
    for (const follower of world.followers) {
      follower.kill();
      await world.send(`while ${follower.place} is away`);
      await follower.start();
      expect(await world.until(() => world.isWhole, 'the follower is back')).toBeLessThan(1_000);
    }
    expect(world.leader.epoch).toBe(epoch);
    await world.stop();
  });
});
