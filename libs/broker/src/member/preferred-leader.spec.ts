/** Where the lead goes back to, and when it stays where it is. */
import { type SetMemberWorld, SetWorld } from './set-world.js';

const minuteMs = 60_000;

/** Of three, the one whose place comes first leads. */
async function started(): Promise<{ world: SetWorld; first: SetMemberWorld; others: SetMemberWorld[] }> {
  const world = await new SetWorld(3).start();
  const [first, ...others] = world.members as [SetMemberWorld, ...SetMemberWorld[]];
  if (world.leader !== first) await world.during(world.leader.broker.member.handOverLead(first.broker.member.me));
  await world.until(() => world.isWhole, 'all follow');
  return { world, first, others };
}

/** Sends all the while. */
async function pass(world: SetWorld, minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i += 1) {
    await world.send(`m${i}`);
    await world.leap(minuteMs);
  }
}

describe('the lead', () => {
  it('goes back to the place that comes first, when that one is back and all was quiet for five minutes', async () => {
    const { world, first, others } = await started();
    first.kill();
    await world.until(() => others.includes(world.leaders[0] as SetMemberWorld), 'another one leads');
    await pass(world, 6);
    expect(others).toContain(world.leader); // Nobody is there to give it back to.
    await first.start();
    await world.until(() => world.isWhole, 'it follows');
    await pass(world, 4);
    expect(others).toContain(world.leader);
    await pass(world, 2);
    expect(world.leader).toBe(first);
    expect(first.status.lastFailover).toMatchObject({ reason: 'handedOver' });
    await world.stop();
  });

  it('does not go back while a member is behind', async () => {
    const { world, first, others } = await started();
    first.kill();
    await world.until(() => others.includes(world.leaders[0] as SetMemberWorld), 'another one leads');
    await first.start();
    await world.until(() => world.isWhole, 'it follows');
    const late = others.find((member) => member !== world.leader) as SetMemberWorld;
    late.hang();
    await pass(world, 7);
    expect(others).toContain(world.leader);
    late.goOn();
    await world.until(() => world.isWhole, 'all follow');
    await pass(world, 6);
    expect(world.leader).toBe(first);
    await world.stop();
  });

  it('stays for an hour where somebody has brought it', async () => {
    const { world, first, others } = await started();
    const [other] = others as [SetMemberWorld];
    await world.during(first.broker.member.handOverLead(other.broker.member.me));
    await pass(world, 58);
    expect(world.leader).toBe(other);
    await pass(world, 4);
    expect(world.leader).toBe(first);
    await world.stop();
  });
});
