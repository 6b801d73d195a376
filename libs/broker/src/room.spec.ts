// Goal: what a client has no room for is not read, and not lost. Method: room is refused, then given or the client goes.
import type { AskRoom, Delivered, PullResult } from '@cometmq/client';
import { everything, queueId, queueOffset } from '@cometmq/model';

import { BrokerWorld, ids } from './broker-world.js';

/** A client's room: notes what is asked for, and gives it when it is told to. */
class SegmentSpace {
  readonly asked: number[] = [];
  private granted: (() => void) | undefined;
  readonly ask: AskRoom = (bytes, granted) => {
    this.asked.push(bytes);
    this.granted = granted;
    return false;
  };
  give(): void {
    this.granted?.();
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
};

let world: BrokerWorld;
let reads: number;
beforeEach(async () => {
  world = await new BrokerWorld().start();
  for (const id of ['a', 'b', 'c']) await world.sendAs(id, {}, undefined, 0, Buffer.alloc(2_000, `body of ${id}`));
  const { store } = world.broker as unknown as { store: { read: () => unknown; readAll: () => unknown } };
  reads = 0;
  for (const name of ['read', 'readAll'] as const) {
    const real = store[name].bind(store);
    store[name] = (...given: []) => {
      reads += 1;
      return real(...given);
    };
  }
});
afterEach(() => world.broker.stop());

describe('a receive', () => {
  it('reads what it hands out once there is room for it', async () => {
    const room = new SegmentSpace();
    let got: readonly Delivered[] | undefined;
    world.pollWith({ askRoom: room.ask }, (_, result) => (got = result?.messages));
    await turns();
    expect(room.asked).toEqual([expect.any(Number)]);
    expect(room.asked[0]).toBeGreaterThan(6_000);
    expect(room.asked[0]).toBeLessThan(7_000);
    expect([got, reads]).toEqual([undefined, 0]);
    room.give();
    await turns();
    expect(got?.length).toBe(3);
  });

  it('gives back what it handed out to a client that goes while it has no room: no attempt is counted', async () => {
    const takeBack = world.pollWith({ askRoom: new SegmentSpace().ask }, () => {
      throw new Error('nobody waits any more');
    });
    await turns();
    expect(await world.poll()).toEqual([]);
    takeBack();
    const again = await world.poll();
    expect(again.map(({ receipt }) => receipt.attempt)).toEqual([1, 1, 1]);
  });
});

describe('a pull', () => {
  const pull = (room: SegmentSpace, done: (result: PullResult | undefined) => void, given = {}): (() => void) =>
    world.broker.pull(
      {
        groupId: world.group.id,
        topicId: world.topic.id,
        queueId: queueId(0),
        offset: queueOffset(0),
        messagesMax: 32,
        bytesMax: 1 << 20,
        filter: everything,
        clientId: 'c1',
        waitMs: 0,
        askRoom: room.ask,
        ...given,
      },
      (_, result) => done(result),
    );

  it('reads nothing before there is room for about what it will answer', async () => {
    const room = new SegmentSpace();
    let got: PullResult | undefined;
    pull(room, (result) => (got = result));
    await turns();
    expect(room.asked[0]).toBeGreaterThan(6_000);
    expect([got, reads]).toEqual([undefined, 0]);
    room.give();
    await turns();
    expect(ids((got?.messages ?? []) as never).length).toBe(3);
  });

  it('asks for no more than it may answer', async () => {
    const [few, little] = [new SegmentSpace(), new SegmentSpace()];
    pull(few, () => undefined, { messagesMax: 1 })();
    pull(little, () => undefined, { bytesMax: 5_000 })();
    await turns();
    expect(few.asked[0]).toBeLessThan(2_500);
    expect(little.asked[0]).toBeLessThan(5_000);
    expect(little.asked[0]).toBeGreaterThan(4_000);
  });

  it('is over when it is taken back before there is room', async () => {
    const room = new SegmentSpace();
    pull(room, () => {
      throw new Error('nobody waits any more');
    })();
    await turns();
    room.give();
    await turns();
    expect(reads).toBe(0);
  });
});

describe('a send', () => {
  it('is refused while as much waits for the disk as is allowed, and taken afterwards', async () => {
    const large = Buffer.alloc(900 * 1024, 1);
    const sends = Array.from({ length: 8 }, (_, i) => world.sendAny(`large ${i}`, {}, undefined, 0, large));
    const ends = await Promise.all(
      sends.map((sent) =>
        sent.then(
          () => 'taken',
          ({ code }: { code: string }) => code,
        ),
      ),
    );
    expect(ends).toEqual([...Array<string>(4).fill('taken'), ...Array<string>(4).fill('TOO_MANY_REQUESTS')]);
    await world.sendAny('later', {}, undefined, 0, large);
  });
});
