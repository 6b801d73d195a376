/** Who refuses a member is told of where its operator looks: once, as a warning. */
import { MqError } from '@cometmq/shared';

import { type SetMemberWorld, SetWorld } from './set-world.js';

const warnings = ({ said }: SetMemberWorld, what: string): string[] =>
  said.filter((line) => line.startsWith('warn') && line.includes(what));

describe('a member that is refused', () => {
  it.each([
    ['UNAUTHORIZED', 'the token is no broker’s'],
    ['BAD_REQUEST', 'a lease of at most 60000 ms'],
    ['CONFLICT', 'another process is place-1'],
  ] as const)('by the name service says so once (%s)', async (code, reason) => {
    const world = await new SetWorld(3).start();
    const [place] = world.followers as [SetMemberWorld];
    const { registry } = world;
    const announce = registry.announceMember.bind(registry);
    let asked = 0;
    registry.announceMember = (claim) => {
      if (claim.member !== place.id) return announce(claim);
      asked += 1;
      return Promise.reject(new MqError(code, reason));
    };
    await world.until(() => asked >= 4, 'it has asked again and again');
    expect(warnings(place, 'the name service refuses this member')).toEqual([expect.stringContaining(reason)]);
    registry.announceMember = announce;
    await world.pass(5_000);
    await world.stop();
  });

  // Goal: a member that has just begun its term is not ended by what it had said before. Method: an announcement of its that
  // comes to the registry only once that knows of the new term.
  it('for what its log had been before it began a term leads on', async () => {
    const world = await new SetWorld(3).start();
    const [place] = world.followers as [SetMemberWorld];
    const { registry } = world;
    const announce = registry.announceMember.bind(registry);
    const late = Promise.withResolvers<void>();
    const answers: string[] = [];
    let isHeld = false;
    registry.announceMember = async (claim) => {
      if (claim.member !== place.id || isHeld) return announce(claim);
      isHeld = true;
      await late.promise;
      const answer = announce(claim);
      answer.then(
        () => answers.push('OK'),
        (caught: unknown) => answers.push(MqError.from(caught).code),
      );
      return answer;
    };
    await world.until(() => isHeld, 'it has announced itself');
    await world.during(world.leader.broker.member.handOverLead(place.broker.member.me));
    await world.send('m');
    await world.pass(1_500); // It renews its leadership: the registry knows how far its log has come.
    late.resolve();
    await world.until(() => answers.length > 0, 'it is answered');
    await world.pass(2_000);
    expect(answers).toEqual(['DATA_FOLDER']);
    expect([place.failure, world.leader]).toEqual([undefined, place]);
    await world.stop();
  });

  it('by nobody, while the name service is away, says nothing', async () => {
    const world = await new SetWorld(3).start();
    const [place] = world.followers as [SetMemberWorld];
    place.registryAway = true;
    await world.pass(5_000);
    expect(warnings(place, 'the name service')).toEqual([]);
    place.registryAway = false;
    await world.stop();
  });

  it('by nobody, while it leads and the name service is away, says so once, and once that it is back', async () => {
    const world = await new SetWorld(3).start();
    const { leader } = world;
    world.registry.away = true;
    await world.pass(10_000);
    world.registry.away = false;
    await world.pass(5_000);
    expect(warnings(leader, 'the name service does not answer; serving goes on')).toHaveLength(1);
    expect(leader.said.filter((line) => line.includes('the name service answers again'))).toHaveLength(1);
    await world.stop();
  });

  // Goal: a stream that is good for nothing costs its leader little. Method: the leader can't read what its follower lacks.
  it('of what it lacks, again and again, comes again in longer and longer intervals', async () => {
    const world = await new SetWorld(3).start();
    await world.sendMany(Array.from({ length: 50 }, (_, i) => `m${i}`));
    const [place] = world.followers as [SetMemberWorld];
    place.kill();
    await world.sendMany(Array.from({ length: 50 }, (_, i) => `n${i}`));
    const { replication } = world.leader.broker.store;
    const read = replication.readBytes.bind(replication);
    replication.peekCut = () => undefined; // It has nothing in memory.
    replication.readBytes = () => Promise.reject(new MqError('CORRUPT_RECORD', 'the log is damaged at 7'));
    const started = place.start();
    await world.during(started);
    const streams = (): number => place.said.filter((line) => line.includes('the broker follows')).length;
    const before = streams();
    await world.pass(20_000);
    expect(streams() - before).toBeGreaterThan(5);
    expect(streams() - before).toBeLessThan(40);
    replication.readBytes = read;
    await world.until(() => world.isWhole, 'it has all, as soon as that can be read');
    await world.stop();
  });

  it('by its leader, as it is of an older release, says so once', async () => {
    const world = await new SetWorld(3).start();
    const [place] = world.followers as [SetMemberWorld];
    const { leader } = world;
    Object.defineProperty(leader.broker.store, 'featureLevel', { value: 99, configurable: true });
    world.network.loseConnections(leader.address, place.address);
    await world.pass(3_000);
    expect(warnings(place, 'the leader refuses this member')).toEqual([expect.stringContaining('upgrade it first')]);
    expect(world.leader).toBe(leader); // It costs nobody an election.
    for (const member of world.members) member.kill();
  });
});
