/**
 * Goal: whatever happens to the members, nothing acknowledged is lost, and the set comes to rest by itself. Method: clients
 * send and acknowledge all along while members are killed (with and without power), cut off, started again, and the registry
 * goes away, all by chance; then everything heals, and what was acknowledged is counted.
 */
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { SetWorld } from './set-world.js';

class Chaos {
  readonly acknowledged: string[] = [];
  readonly consumed = new Set<string>();
  private sent = 0;
  private over = false;
  private readonly starts: Promise<void>[] = [];

  constructor(
    private readonly world: SetWorld,
    private readonly chance: Prng,
  ) {}

  async run(rounds: number): Promise<void> {
    const clients = [this.produce(), this.produce(), this.consume()];
    for (let i = 0; i < rounds; i += 1) {
      await this.world.pass(this.chance.below(800));
      await this.fault();
    }
    await this.heal();
    this.over = true;
    await Promise.all(clients);
  }

  private async fault(): Promise<void> {
    const { world, chance } = this;
    const { members, network, registry } = world;
    const one = chance.pick(members);
    const other = chance.pick(members.filter((member) => member !== one));
    switch (chance.below(8)) {
      case 0:
      case 1:
        // A majority of disks stays: what is lost with power was promised by nobody.
        if (one.isUp && world.up.length > members.length / 2) one.kill(chance.chance(0.5) ? chance : undefined);
        return;
      case 2:
      case 3:
        if (!one.isUp) this.starts.push(one.start());
        return;
      case 4:
        network.cut(one.address, other.address);
        if (chance.chance(0.5)) network.cut(other.address, one.address);
        return;
      case 5:
        network.healAll();
        return;
      case 6:
        registry.away = chance.chance(0.3);
        return;
      case 7:
        one.registryAway = chance.chance(0.3);
        network.loseConnections(one.address, other.address);
    }
  }

  private async heal(): Promise<void> {
    const { world } = this;
    world.network.healAll();
    world.registry.away = false;
    for (const member of world.members) {
      member.registryAway = false;
      if (!member.isUp) await member.start();
    }
    await Promise.all(this.starts);
    await world.until(() => world.isWhole, 'the set is whole again');
    for (const { failure, place } of world.members) {
      if (failure) throw new Error(`${place} could not go on: ${failure.message}`);
    }
  }

  private async produce(): Promise<void> {
    while (!this.over) {
      const id = `m${(this.sent += 1)}`;
      await this.world.send(id);
      this.acknowledged.push(id);
      await this.world.pass(this.chance.below(60));
    }
  }

  private async consume(): Promise<void> {
    while (!this.over) {
      for (const id of await this.world.drainOnce({ messagesMax: 5 })) this.consumed.add(id);
      await this.world.pass(this.chance.below(100));
    }
  }
}

it.each(seeds(6))(
  'three members lose nothing, whatever happens to them (seed %i)',
  async (seed) => {
    const world = await new SetWorld(3).start();
    const chaos = new Chaos(world, new Prng(seed));
    await chaos.run(25);
    await world.pass(6_000);
    for (const id of await world.drain()) chaos.consumed.add(id);
    expect(chaos.acknowledged.filter((id) => !chaos.consumed.has(id))).toEqual([]);
    expect(chaos.acknowledged.length).toBeGreaterThan(20);
    await world.stop();
  },
  60_000,
);

it.each(seeds(6, 101))(
  'two members lose nothing, whatever happens to one of them (seed %i)',
  async (seed) => {
    const world = await new SetWorld(2).start();
    const chaos = new Chaos(world, new Prng(seed));
    await chaos.run(25);
    await world.pass(6_000);
    for (const id of await world.drain()) chaos.consumed.add(id);
    expect(chaos.acknowledged.filter((id) => !chaos.consumed.has(id))).toEqual([]);
    await world.stop();
  },
  60_000,
);

it.each(seeds(5))(
  'all members lose power at once, and nothing acknowledged is lost (seed %i)',
  async (seed) => {
    const chance = new Prng(seed);
    const world = await new SetWorld(3).start();
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (let i = chance.below(15); i >= 0; i -= 1) {
        const id = `r${round} m${i}`;
        await world.send(id);
        acknowledged.push(id);
      }
      // Some of what is on its way is on the disks of some.
      world.begin(`lost ${round}`);
      await world.pass(chance.below(6));
      for (const member of world.members) member.kill(chance);
      await Promise.all(world.members.map((member) => member.start()));
      await world.until(() => world.isWhole, 'the set is whole again');
    }
    expect((await world.drain()).filter((id) => !id.startsWith('lost')).sort()).toEqual(acknowledged.sort());
    await world.stop();
  },
  60_000,
);
