/**
 * Goal: whatever the disk of a member says, and whenever, nothing acknowledged is lost, the member goes on or its process ends,
 * and the set comes to rest by itself. Method: clients send and acknowledge all along while operations of disks fail by chance,
 * once or from there on; who gives up is started again on what it left.
 */
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';
import type { Disk } from '@cometmq/store';
import { faultyDisk, systemError, type FaultyOperation, type MemoryDisk } from '@cometmq/store/testing';

import { bodyOf, type SetMemberWorld, SetWorld } from './set-world.js';

const codes = ['EIO', 'EIO', 'ENOSPC', 'EMFILE', 'EROFS'];
const names = ['open', 'list', 'makeFolder', 'rename', 'unlink', 'syncFolder', 'freeBytes'] as const;

interface Plan {
  readonly code: string;
  readonly from: number;
  readonly to: number;
  operations: number;
}

/** Disks of which operations fail, as planned. */
class Failing {
  readonly seen: string[] = [];
  private readonly plans = new Map<MemoryDisk, Plan>();

  /** Before it is used. */
  take(disk: MemoryDisk): void {
    const plain = Object.fromEntries(names.map((name) => [name, (disk[name] as () => unknown).bind(disk)]));
    const faulty = faultyDisk(plain as unknown as Disk, (operation, path) => this.fault(disk, operation, path));
    for (const name of names) Object.assign(disk, { [name]: faulty[name] });
  }

  plan(disk: MemoryDisk, chance: Prng): void {
    const from = 1 + chance.below(400);
    const to = chance.chance(0.5) ? from : from + chance.below(300);
    this.plans.set(disk, { code: chance.pick(codes), from, to, operations: 0 });
  }

  heal(): void {
    this.plans.clear();
  }

  private fault(disk: MemoryDisk, operation: FaultyOperation, path: string): Error | undefined {
    const plan = this.plans.get(disk);
    if (!plan) return undefined;
    plan.operations += 1;
    if (plan.operations < plan.from || plan.operations > plan.to || operation === 'close') return undefined;
    if (plan.code === 'ENOSPC' && ['read', 'size', 'list', 'unlink', 'freeBytes'].includes(operation)) return undefined;
    this.seen.push(`${plan.code} ${operation} ${path}`);
    return systemError(plan.code, `${operation} of ${path}`);
  }
}

/** False: whoever was asked gives up, and says so. */
async function answered(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (caught) {
    const { code } = MqError.from(caught);
    if (code !== 'DISK_FAILED' && code !== 'INVALID_RECEIPT_HANDLE') throw caught; // Its lease is over by then.
    return false;
  }
}

async function run(
  world: SetWorld,
  chance: Prng,
  failing: Failing,
): Promise<{ acknowledged: string[]; consumed: Set<string>; seen: string[] }> {
  const acknowledged: string[] = [];
  const consumed = new Set<string>();
  const { seen } = failing;
  let over = false;
  let sent = 0;
  const produce = async (): Promise<void> => {
    while (!over) {
      const id = `m${(sent += 1)}`;
      if (await answered(() => world.send(id))) acknowledged.push(id);
      await world.pass(chance.below(40));
    }
  };
  const consume = async (): Promise<void> => {
    while (!over) {
      await answered(async () => {
        for (const { payload, receipt } of await world.poll({ messagesMax: 5 })) {
          consumed.add(bodyOf(payload));
          await world.ack(receipt);
        }
      });
      await world.pass(chance.below(80));
    }
  };
  const bury = async (member: SetMemberWorld): Promise<void> => {
    if (member.isUp && member.failure)
      member.kill(chance.chance(0.3) && world.up.length === world.members.length ? chance : undefined);
    if (member.isUp) return;
    failing.take(member.disk);
    await member.start();
  };
  const clients = [produce(), consume()];
  for (let round = 0; round < 12; round += 1) {
    const one = chance.pick(world.members);
    if (one.isUp && !one.failure) failing.plan(one.disk, chance);
    if (chance.chance(0.2)) void one.broker.store.checkpoint().catch(() => undefined);
    await world.pass(200 + chance.below(1500));
    for (const member of world.members) if (member.failure && chance.chance(0.6)) await bury(member);
  }
  failing.heal();
  for (const member of world.members) {
    if (!member.failure) member.kill(); // Its disk is whole again from here on.
    await bury(member);
    member.failure = undefined;
    await world.until(() => world.leaders.length > 0, 'somebody leads');
  }
  await world.until(() => world.isWhole, 'the set is whole again');
  over = true;
  await Promise.all(clients);
  return { acknowledged, consumed, seen };
}

it.each(seeds(Number(process.env['FAULT_SEEDS'] ?? 4)))(
  'three members lose nothing, whatever their disks say (seed %i)',
  async (seed) => {
    const failing = new Failing();
    const built = new SetWorld(3, {}, seed % 2 === 0);
    for (const { disk } of built.members) failing.take(disk);
    const world = await built.start();
    const { acknowledged, consumed, seen } = await run(world, new Prng(seed), failing);
    await world.pass(6_000);
    for (const id of await world.drain()) consumed.add(id);
    expect([acknowledged.filter((id) => !consumed.has(id)), seen.length > 0]).toEqual([[], true]);
    expect(acknowledged.length).toBeGreaterThan(20);
    await world.stop();
  },
  120_000,
);
