/** What breaks while clients work, and how it is mended at the end. All of it by chance, from the seed. */
import { MqError, sleep } from '@cometmq/shared';

import type { Ledger } from './ledger.js';
import type { Member, World } from './world.js';

/** How often each happens, beside the others. */
const kinds = {
  power: 3,
  kill: 3,
  start: 8,
  stop: 1,
  pause: 2,
  resume: 4,
  cut: 3,
  slow: 1,
  break: 2,
  heal: 4,
  jump: 1,
  hang: 1,
  'slow disk': 1,
  namesrv: 2,
  etcd: 2,
  'etcd set back': 0.34,
};
type Kind = keyof typeof kinds;
const drawn = (Object.keys(kinds) as Kind[]).flatMap((kind) => Array.from({ length: kinds[kind] * 3 }, () => kind));

/** Breaks one thing after another, some of them while others are broken, as long as `goesOn`. */
export async function breakThings(world: World, ledger: Ledger, goesOn: () => boolean): Promise<void> {
  const process = world.clock.process('faults');
  const chance = world.chance('faults');
  const hosts = [...world.hosts];
  for (;;) {
    await sleep(process, chance.below(chance.below(3) === 0 ? 8_000 : 1_500));
    const member = chance.pick(world.members);
    const kind = chance.pick(drawn);
    // The worst moment is right after a promise was made.
    if (goesOn() && chance.below(4) === 0) await Promise.race([ledger.nextSent(), sleep(process, 2_000)]);
    if (!goesOn()) return;
    world.trace.note(`fault: ${kind} ${member.place}`);
    switch (kind) {
      case 'power':
      case 'kill':
        member.end(kind === 'power');
        break;
      case 'start':
        start(world, member);
        break;
      case 'stop':
        void member.stop();
        break;
      case 'pause':
        member.pause();
        break;
      case 'resume':
        for (const each of world.members) each.resume();
        break;
      case 'cut': {
        const other = chance.pick(hosts.filter((host) => host !== member.place));
        world.network.cut(member.place, other);
        if (chance.below(2) === 0) world.network.cut(other, member.place);
        break;
      }
      case 'slow':
        world.network.slow(member.place, chance.pick(hosts), chance.below(1_000));
        break;
      case 'break':
        world.network.breakConnections(chance.pick(hosts), member.place);
        break;
      case 'heal':
        world.network.heal();
        for (const { way } of world.nameServers) way.comeBack();
        for (const each of world.members) each.condition.slowMs = 0;
        break;
      case 'jump':
        member.setWall(chance.below(7_200_000) - 3_600_000);
        break;
      case 'hang':
        member.condition.hangsUntilMs = process.monotonicMs() + chance.below(6_000);
        break;
      case 'slow disk':
        member.condition.slowMs = chance.below(60);
        break;
      case 'namesrv': {
        const server = chance.pick(world.nameServers);
        server.end();
        await sleep(process, chance.below(3_000));
        void server.start();
        break;
      }
      case 'etcd': {
        const { way } = chance.pick(world.nameServers);
        const how = chance.below(3);
        if (how === 0) for (const each of world.nameServers) each.way.leave();
        else if (how === 1) way.loseNextAnswer = true;
        else way.stopHearing();
        break;
      }
      case 'etcd set back':
        await world.metadata.setBack(chance.below(3));
        break;
    }
  }
}

/** Nothing is broken any more, and every member runs. */
export function heal(world: World): void {
  world.trace.note('healed');
  world.network.heal();
  for (const server of world.nameServers) {
    server.way.comeBack();
    if (server.service === undefined) void server.start();
  }
  if (world.metadata.wasSetBack) adopt(world);
  for (const member of world.members) {
    member.condition.slowMs = member.condition.hangsUntilMs = 0;
    member.setWall(0); // Delayed messages go by the wall clock.
    member.resume();
    start(world, member);
    void member.stopping?.then(() => start(world, member));
  }
}

/** What an operator does whose metadata was set back to a backup: `comet cluster adopt`, until the set is whole. */
function adopt(world: World): void {
  if (world.isWhole) return;
  const service = world.nameServers.find((server) => server.service !== undefined)?.service;
  service?.allowAdoption().then(
    () => world.trace.note('the metadata may be adopted'),
    (caught: unknown) => world.trace.note(`the metadata can not be adopted yet: ${String(caught)}`),
  );
  for (const member of world.members) start(world, member);
  world.clock.after(2_000, () => adopt(world));
}

/**
 * Where it does not run. One that finds the metadata set back ends, and is started again once that was adopted; one that is
 * told to stop meanwhile says so.
 */
function start(world: World, member: Member): void {
  if (member.isUp) return;
  member.start().catch((caught: unknown) => {
    const { code } = MqError.from(caught);
    if (member.stopping && code === 'CANCELLED') return;
    if (world.metadata.wasSetBack && code === 'METADATA_MISMATCH') member.end(false);
    else world.failures.push(`${member.place} did not start: ${String(caught)}`);
  });
}
