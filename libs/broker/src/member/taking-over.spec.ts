/** What a member takes of another one's log, and what it never gives up for it. */
import type { FetchedPart, PeerDoor } from '@cometmq/client';
import { epoch, KiB, type LogPosition, memberId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { MessageStore } from '@cometmq/store';
import { MemoryDisk } from '@cometmq/store/testing';

import { hangable, SetWorld } from './set-world.js';
import { takeOver } from './taking-over.js';

const turns = async (): Promise<void> => {
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** The door behind the address answers these calls otherwise. */
function overrule(world: SetWorld, address: string, calls: Partial<PeerDoor>): void {
  const door = world.network.doorAt(address);
  if (!door) throw new Error(`nobody listens at ${address}`);
  world.network.listen(
    address,
    new Proxy(door, { get: (of, name) => Reflect.get(name in calls ? calls : of, name, of) as unknown }),
  );
}

const onFailed = (error: MqError): void => {
  throw error;
};

describe('what a candidate takes', () => {
  // Goal: memory stays bounded while the disk does not answer. Method: much more than the bound is offered by a real log.
  it('is held up while its disk lags', async () => {
    const world = await new SetWorld(1).start();
    await world.sendMany(Array.from({ length: 400 }, (_, i) => `m${i}`));
    const source = world.leader.broker.store;
    let hung: PromiseWithResolvers<void> | undefined;
    const target = new MessageStore({
      disk: hangable(new MemoryDisk(), () => hung?.promise),
      ...{ folder: 'data', brokerName: 'b', clock: new ManualClock(), views: [], follows: true, onFailed },
      limits: {
        segmentBytes: 256 * KiB,
        recordBytesMax: 64 * KiB,
        freeBytesMin: 0,
        aheadBytes: 16 * KiB,
        reserveBytes: 0,
      },
    });
    await target.start();
    await target.takeSalt(source.salt ?? 0);
    async function* parts(): AsyncIterable<FetchedPart> {
      for (let from = 0 as LogPosition; from < source.appendEnd;) {
        const bytes = (await source.replication.readBytes(from, 2 * KiB)) as Uint8Array;
        yield { commonEnd: 0 as LogPosition, from, bytes };
        from = (from + bytes.byteLength) as LogPosition;
      }
    }
    hung = Promise.withResolvers();
    const taken = takeOver(target, memberId('a/1'), parts(), () => true, 8 * KiB);
    await turns();
    expect(source.appendEnd).toBeGreaterThan(32 * KiB);
    expect(target.appendEnd - target.replication.durableEnd).toBeLessThan(12 * KiB);
    hung.resolve();
    hung = undefined;
    await taken;
    expect(target.appendEnd).toBe(source.appendEnd);
    await target.stop();
    await world.stop();
  });

  it('never costs what is committed: a best log that lacks it ends the member, which keeps all', async () => {
    const world = await new SetWorld(3).start();
    for (const id of ['m0', 'm1', 'm2']) await world.send(id);
    await world.until(() => world.isWhole, 'all have it');
    const { leader, followers } = world;
    const ends = followers.map(({ broker }) => broker.store.commitEnd);
    for (const { address, broker } of followers) {
      // Says that it has more than anybody, and then that it has nothing in common with them.
      const log = { lastEpoch: epoch(99), end: 1e9 as LogPosition };
      const from = broker.member.me;
      overrule(world, address, {
        askPromise: async () => ({ kind: 'promised', from, log }),
        async *fetch() {
          yield { commonEnd: 0 as LogPosition, from: 0 as LogPosition, bytes: new Uint8Array(0) };
        },
      });
    }
    leader.kill();
    await world.until(() => followers.some(({ failure }) => failure !== undefined), 'the candidate gives up');
    const [failed] = followers.filter(({ failure }) => failure !== undefined);
    expect(failed?.failure).toMatchObject({
      code: 'CORRUPT_RECORD',
      reason: expect.stringContaining('lacks what was'),
    });
    expect(failed?.broker.store.commitEnd).toBe(ends[followers.indexOf(failed as never)]);
    for (const member of world.up) member.kill();
  });

  it('that does not come is told with its reason, and asked for again', async () => {
    const world = await new SetWorld(3).start();
    await world.send('m0');
    await world.until(() => world.isWhole, 'all have it');
    const { leader, followers } = world;
    let fetches = 0;
    for (const { address, broker } of followers) {
      const log = { lastEpoch: epoch(99), end: 1e9 as LogPosition };
      const from = broker.member.me;
      overrule(world, address, {
        askPromise: async () => ({ kind: 'promised', from, log }),
        // eslint-disable-next-line require-yield -- it fails before its first part
        async *fetch() {
          fetches += 1;
          throw new MqError('NOT_FOUND', 'position 7 is not kept here any more');
        },
      });
    }
    leader.kill();
    await world.until(() => fetches === followers.length, 'each asks for it');
    await world.pass(10_000);
    expect(fetches).toBe(followers.length); // Whoever may have more has its turn first.
    await world.until(() => fetches > followers.length, 'it is asked for again');
    expect(followers.flatMap(({ said }) => said).join()).toContain('could not be fetched: position 7 is not kept');
    for (const member of world.up) member.kill();
  });
});
