/** What breaks while clients work, and how it is mended at the end. All of it by chance, from the seed. */
import { MqError, type Prng, sleep, unreachable } from '@cometmq/shared';

import type { Ledger } from './ledger.js';
import type { FaultKind } from './kinds.js';
import { dueKinds, type Plan } from './plan.js';
import type { SimProcess } from './sim-clock.js';
import { brokerSet, type Member, type World } from './world.js';

/** How often each happens, beside the others. */
const weights = {
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
  flip: 3,
  'flip file': 2,
  'sync fails': 1,
  'disk full': 1,
  namesrv: 2,
  'etcd away': 0.67,
  'etcd loses an answer': 0.67,
  'etcd tells watches nothing': 0.67,
  'etcd set back': 0.34,
} as const satisfies Record<FaultKind, number>;

/** Breaks one thing after another, some of them while others are broken, as long as `goesOn`. */
export async function breakThings(world: World, plan: Plan, ledger: Ledger, goesOn: () => boolean): Promise<void> {
  const process = world.clock.process('faults');
  const chance = world.chance('faults');
  world.onEnded = (member) => startAgain(world, member);
  const drawn = plan.faults.flatMap((kind) => Array.from({ length: Math.round(weights[kind] * 3) }, () => kind));
  const due = dueKinds(world.options.seed);
  for (;;) {
    await sleep(process, chance.below(due.length === 0 && chance.below(3) === 0 ? 8_000 : plan.restMs));
    const member = chance.pick(world.members);
    const next = chance.below(4) > 0 ? due.shift() : undefined;
    const kind = next ?? chance.pick(drawn);
    // The worst moment is right after a promise was made.
    if (goesOn() && chance.below(4) === 0) await Promise.race([ledger.nextSent(), sleep(process, 2_000)]);
    if (!goesOn()) return;
    world.trace.note(`fault: ${kind} ${member.place}`);
    const happened = await breakOne(world, member, kind, chance, process);
    if (happened) world.tally.fault(kind);
    else if (next) due.push(next);
  }
}

/** Answers whether anything has changed by it. */
async function breakOne(
  world: World,
  member: Member,
  kind: FaultKind,
  chance: Prng,
  process: SimProcess,
): Promise<boolean> {
  const others = world.hosts.filter((host) => host !== member.place);
  const { isUp } = member;
  switch (kind) {
    case 'power':
    case 'kill':
      member.end(kind === 'power');
      return isUp;
    case 'start':
      start(world, member);
      return !isUp;
    case 'stop':
      void member.stop();
      return isUp;
    case 'pause':
      member.pause();
      return isUp;
    case 'resume':
      for (const each of world.members) each.resume();
      return true;
    case 'cut': {
      const other = chance.pick(others);
      world.network.cut(member.place, other);
      if (chance.below(2) === 0) world.network.cut(other, member.place);
      return true;
    }
    case 'slow':
      world.network.slow(member.place, chance.pick(others), 1 + chance.below(1_000));
      return true;
    case 'break':
      world.network.breakConnections(chance.pick(others), member.place);
      return true;
    case 'heal':
      world.network.heal();
      for (const { way } of world.nameServers) way.comeBack();
      for (const each of world.members) {
        each.condition.slowMs = 0;
        each.disk.capacityBytes = Infinity;
      }
      return true;
    case 'jump':
      member.setWall(chance.below(7_200_000) - 3_600_000);
      return true;
    case 'hang':
      member.condition.hangsUntilMs = process.monotonicMs() + chance.below(6_000);
      return isUp;
    case 'slow disk':
      member.condition.slowMs = chance.below(60);
      return true;
    case 'flip':
      // One of two that can't open its log can't say what it knows of metadata that was set back, and the other one waits for that.
      if (world.members.length === 2 && world.metadata.wasSetBack) return false;
      if (!othersAreWhole(world, member)) return false;
      return world.flips.flip(member, world.audit, chance);
    case 'flip file': {
      // Of a lone member nobody else has what its state says.
      const path =
        world.members.length > 1 ? world.fileFlips.flip(member, chance, othersAreWhole(world, member)) : undefined;
      if (path !== undefined) world.trace.note(`${member.place}: bits of ${path} flip`);
      return path !== undefined;
    }
    case 'sync fails':
      member.condition.failsSync = isUp;
      return isUp;
    case 'disk full':
      member.disk.capacityBytes = member.disk.usedBytes() + chance.below(24 * 1024);
      return true;
    case 'namesrv': {
      const server = chance.pick(world.nameServers);
      const ran = server.service !== undefined;
      server.end();
      await sleep(process, chance.below(3_000));
      void server.start();
      return ran;
    }
    case 'etcd away':
      for (const { way } of world.nameServers) way.leave();
      return true;
    case 'etcd loses an answer':
      chance.pick(world.nameServers).way.loseNextAnswer = true;
      return true;
    case 'etcd tells watches nothing':
      chance.pick(world.nameServers).way.stopHearing();
      return true;
    case 'etcd set back':
      return setBack(world, chance.below(3));
    default:
      return unreachable(kind);
  }
}

/** Of three members two have to open what they have, so that one of them can lead and help the third. */
function othersAreWhole(world: World, member: Member): boolean {
  const { members, flips, fileFlips, audit } = world;
  const damaged = flips.damaged(audit);
  return (damaged ?? member) === member && members.every((each) => each === member || !fileFlips.lacksState(each));
}

const setKey = `sets/${brokerSet}`;
const doubtKey = `doubts/${brokerSet}`;

/**
 * In a set of two the metadata has a voice of its own. Where it forgets who took the set over last, the other member may do so by
 * its own word: what that costs nobody can prevent while the one that knows better is away. So the other one comes back only
 * once that one has said so, or leads anew.
 */
async function setBack(world: World, ago: number): Promise<boolean> {
  const { metadata } = world;
  const isTwo = world.members.length === 2;
  // What was said is not forgotten again before it was heard.
  if (isTwo && (world.keptOut.size > 0 || (await metadata.store.get(doubtKey)) !== undefined)) return false;
  if (isTwo && world.flips.damaged(world.audit) !== undefined) return false; // See above.
  const done = await metadata.setBack(ago, setKey);
  if (!done) return false;
  if (!isTwo || done.was === undefined) return true;
  const { leader, epoch } = JSON.parse(done.was) as { readonly leader: string; readonly epoch: number };
  const knows = world.members.find(({ place }) => leader.startsWith(`${place}/`));
  const others = world.members.filter((member) => member !== knows);
  for (const other of others) {
    if (other.isUp) other.end(false);
    world.keptOut.add(other);
  }
  const look = async (): Promise<void> => {
    const isSaid = (await metadata.store.get(doubtKey)) !== undefined;
    if (!isSaid && (knows?.broker?.member.leading?.epoch ?? 0) <= epoch) {
      world.clock.after(500, () => void look());
      return;
    }
    for (const other of others) {
      world.keptOut.delete(other);
      start(world, other);
    }
  };
  await look();
  return true;
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
    member.condition.failsSync = false;
    member.disk.capacityBytes = Infinity;
    member.setWall(0); // Delayed messages go by the wall clock.
    member.resume();
    start(world, member);
    void member.stopping?.then(() => start(world, member));
  }
}

/** What an operator does whose metadata was set back to a backup: `comet cluster adopt`, wherever the set is not whole. */
function adopt(world: World): void {
  world.clock.after(2_000, () => adopt(world)); // One that starts again later on may be the one that finds the metadata older.
  if (world.isWhole) return;
  const service = world.nameServers.find((server) => server.service !== undefined)?.service;
  service?.allowAdoption().then(
    () => world.trace.note('the metadata may be adopted'),
    (caught: unknown) => world.trace.note(`the metadata can not be adopted yet: ${String(caught)}`),
  );
  for (const member of world.members) start(world, member);
}

/**
 * Where it does not run. One that finds the metadata set back ends, and is started again once that was adopted; one that is
 * told to stop meanwhile says so; one to which no name service answers ends, and whoever watches over it starts it again.
 */
function start(world: World, member: Member): void {
  if (member.isUp || world.keptOut.has(member)) return;
  const isTight = member.disk.capacityBytes < Infinity; // It may have room again before a write that found none is heard of.
  member.start().catch((caught: unknown) => {
    const { code } = MqError.from(caught);
    if (member.stopping && code === 'CANCELLED') return;
    if (world.metadata.wasSetBack && code === 'METADATA_MISMATCH') member.end(false);
    else if (code === 'TIMEOUT' || (isTight && code === 'STORAGE_FULL') || world.isExcused(member, code))
      startAgain(world, member);
    else world.failures.push(`${member.place} did not start: ${String(caught)}`);
  });
}

function startAgain(world: World, member: Member): void {
  member.end(false);
  world.clock.after(1_000, () => start(world, member));
}
