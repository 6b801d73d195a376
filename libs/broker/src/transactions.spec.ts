/** Transactions on a whole broker: log, crashes, producers that come and go, and time in our hands. */
import type { ClientCommand, EndTransactionCall, ProducerSession } from '@cometmq/client';
import { Envelope, KiB, MessageType, RecordKind, type PendingPlace } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';
import { checksMax } from '@cometmq/transactions';

import { brokerSamples } from './broker-metrics.js';
import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, ids, settle } from './broker-world.js';

const second = 1_000;

class TransactionWorld extends BrokerWorld {
  readonly asked: Extract<ClientCommand, { kind: 'recoverOrphan' }>[] = [];

  override async start(): Promise<this> {
    await super.start();
    this.topic = await this.nameService.createTopic({ name: 'deals', type: MessageType.transaction });
    return this;
  }

  async half(id: string, checkAfterMs?: number): Promise<PendingPlace> {
    const { pending } = await this.sendAny(id, { checkAfterMs });
    if (!pending) throw new Error('half a message is not visible');
    return pending;
  }

  end(place: PendingPlace, resolution: EndTransactionCall['resolution']): Promise<void> {
    return settle((done) => this.broker.endTransaction({ place, resolution, checked: false }, done));
  }

  /** Producers of the topic, on one proxy whose reports go on. */
  produce(...clientIds: string[]): void {
    const producers = clientIds.map((clientId): ProducerSession => {
      return { clientId, topicIds: [this.topic.id], language: 'JAVA', version: '5', streaming: true };
    });
    this.broker.onCommand('proxy-1', (command) => {
      if (command.kind === 'recoverOrphan') this.asked.push(command);
    });
    this.broker.reportSessions({ proxyId: 'proxy-1', sessions: [], producers });
  }

  /** Time goes on; reads and appends that it started are done. */
  async pass(ms: number, ...clientIds: string[]): Promise<void> {
    for (let left = ms; left > 0; left -= Math.min(left, 60 * second)) {
      if (clientIds.length > 0) this.produce(...clientIds);
      this.clock.advance(Math.min(left, 60 * second));
      for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  get checkedIds(): string[] {
    return this.asked.map(({ payload }) => new Envelope(payload).id);
  }
}

let world: TransactionWorld;
beforeEach(async () => {
  world = await new TransactionWorld().start();
});
afterEach(() => world.broker.stop());

describe('half a message', () => {
  it('is seen by nobody until it is committed, and then as any other', async () => {
    const place = await world.half('a');
    expect(await world.poll()).toEqual([]);
    await world.end(place, 'commit');
    expect(ids(await world.poll())).toEqual(['a']);
  });

  it('is never seen once it is rolled back', async () => {
    const place = await world.half('a');
    await world.end(place, 'rollback');
    await world.crash();
    expect(await world.poll()).toEqual([]);
    expect(world.broker.halfMessages.size).toBe(0);
  });

  it('is decided on once: the same again is OK, the opposite is refused, also after a crash', async () => {
    const place = await world.half('a');
    await world.end(place, 'commit');
    await world.crash();
    await world.end(place, 'commit');
    await world.end(place, 'unknown');
    await expect(world.end(place, 'rollback')).rejects.toThrow('BAD_REQUEST');
    expect(ids(await world.poll())).toEqual(['a']);
  });

  it('that never was is refused', async () => {
    const place = await world.half('a');
    await expect(world.end({ ...place, position: (place.position + 1) as never }, 'commit')).rejects.toThrow(
      'INVALID_TRANSACTION_ID',
    );
    await expect(world.end({ ...place, topicId: 99 as never }, 'rollback')).rejects.toThrow('INVALID_TRANSACTION_ID');
  });

  it('of a deleted topic is gone', async () => {
    const place = await world.half('a');
    await world.nameService.deleteTopic('deals');
    await expect(world.end(place, 'commit')).rejects.toThrow('INVALID_TRANSACTION_ID');
    expect(world.broker.halfMessages.size).toBe(0);
  });
});

describe('a check', () => {
  it('goes to a living producer of the topic after 6 s, whole, and again after a pause', async () => {
    const place = await world.half('a');
    world.produce('p1');
    await world.pass(5 * second);
    expect(world.asked).toEqual([]);
    await world.pass(2 * second);
    const [check] = world.asked;
    expect(check).toMatchObject({ clientId: 'p1', place });
    expect(Buffer.from(check?.payload ?? []).toString()).toContain('body of a');
    await world.end(place, 'unknown');
    await world.pass(20 * second);
    expect(world.asked).toHaveLength(1);
    await world.pass(15 * second);
    expect(world.asked).toHaveLength(2);
  });

  it('comes when the message says so, and to the producers in turn', async () => {
    await world.half('a', 1 * second);
    await world.half('b', 1 * second);
    world.produce('p1', 'p2');
    await world.pass(2 * second);
    expect(world.asked.map(({ clientId }) => clientId).sort()).toEqual(['p1', 'p2']);
    expect(world.checkedIds.sort()).toEqual(['a', 'b']);
  });

  it('is not counted while nobody can be asked, and is made up for when a producer comes, also after a crash', async () => {
    const place = await world.half('a');
    await world.pass(600 * second);
    expect(world.broker.halfMessages.half(place.position)?.checks).toBe(0);
    world.produce('p1');
    await world.pass(2 * second);
    expect(world.checkedIds).toEqual(['a']);
    await world.crash();
    expect(world.broker.halfMessages.half(place.position)?.checks).toBe(1);
    await world.pass(40 * second, 'p2');
    expect(world.asked.map(({ clientId }) => clientId)).toEqual(['p1', 'p2']);
  });

  it('is made fifteen times at most; then the message is parked, and a late answer still counts', async () => {
    const place = await world.half('a');
    await world.pass(4 * 3_600 * second, 'p1');
    expect(world.asked).toHaveLength(checksMax);
    expect(world.broker.halfMessages.half(place.position)?.parked).toBe(true);
    await world.crash();
    await world.pass(3_600 * second, 'p1');
    expect(world.asked).toHaveLength(checksMax);
    await world.end(place, 'commit');
    expect(ids(await world.poll())).toEqual(['a']);
  });

  it('is made no more though the log did not take at first that the message is parked', async () => {
    const place = await world.half('a');
    world.refuseNext(RecordKind.transactionParked);
    await world.pass(4 * 3_600 * second, 'p1');
    expect(world.asked).toHaveLength(checksMax);
    expect(world.broker.halfMessages.half(place.position)?.parked).toBe(true);
  });

  it('never comes for what was decided', async () => {
    const place = await world.half('a');
    world.produce('p1');
    await world.end(place, 'rollback');
    await world.pass(100 * second, 'p1');
    expect(world.asked).toEqual([]);
  });
});

describe('a half message that can not be asked about', () => {
  it('is asked about later, where telling its producer failed', async () => {
    await world.half('a');
    world.produce('p1');
    const { commands } = world.broker;
    const tell = commands.tell.bind(commands);
    commands.tell = (command) => {
      commands.tell = tell;
      throw new MqError('UNAVAILABLE', `planted: ${command.kind} can not be told`);
    };
    await world.pass(10 * second, 'p1');
    expect(world.asked).toEqual([]);
    expect(world.said.map(({ said }) => said)).toEqual([expect.stringContaining('could not be asked')]);
    await world.pass(60 * second, 'p1');
    expect(world.checkedIds).toContain('a');
  });

  it('as its record is damaged, is told of once, tried less and less often, and rolled back when it is given up', async () => {
    world.storeLimits = { ...world.storeLimits, tailCacheBytes: 64 * KiB };
    await world.restart();
    const draft = { checkAfterMs: second };
    const { pending } = await world.sendAny('bad', draft, world.topic, 0, Buffer.alloc(200_000));
    const { position, size } = pending!;
    for (let i = 0; i < 20; i += 1) await world.sendAny(`m${i}`, {}, world.topic, 0, Buffer.alloc(200_000));
    for (const { position: other } of world.broker.halfMessages.list(undefined, { storedMs: 0, position: -1 }, 100)) {
      if (other !== position) world.broker.halfMessages.later(other, Infinity);
    }
    const [name] = (await world.disk.list('data/log')).filter((each) => /^\d+\.log$/.test(each)).sort();
    world.disk.peek(`data/log/${name}`).fill(1, position + size - 8, position + size);
    const { store } = world.broker;
    let reads = 0;
    const read = store.read.bind(store);
    store.read = (at, bytes) => {
      if (at === position) reads += 1;
      return read(at, bytes);
    };
    await world.pass(7_200 * second, 'p1');
    expect(reads).toBeGreaterThan(2);
    expect(reads).toBeLessThan(20);
    expect(world.broker.halfMessages.half(position)).toBeDefined();
    expect(world.said.filter(({ said }) => said.includes('half message can not be read'))).toHaveLength(1);
    await new BrokerReports(world.broker, world.directory, 'broker-0', '1').giveUpLost('broker-0');
    await world.pass(60 * second, 'p1');
    expect(world.broker.halfMessages.half(position)).toBeUndefined();
  });
});

it('figures say what waits and what became of it', async () => {
  await world.half('open');
  await world.end(await world.half('kept'), 'commit');
  await world.end(await world.half('gone'), 'rollback');
  const all = await world.nameService.createTopic({ name: 'all', type: MessageType.mixed });
  const dueMs = world.clock.wallMs() + 90_000;
  await world.sendAny('later', { type: MessageType.delay, dueMs }, all);
  const samples = [...brokerSamples(world.broker, world.directory, world.clock)];
  const value = (metric: string, topic: string): unknown =>
    samples.find((sample) => sample.metric === metric && sample.labels['topic'] === topic)?.value;
  expect(value('rocketmq_half_messages', 'deals')).toBe(1);
  expect(value('rocketmq_commit_messages_total', 'deals')).toBe(1);
  expect(value('rocketmq_rollback_messages_total', 'deals')).toBe(1);
  expect(value('rocketmq_finish_message_latency', 'deals')).toMatchObject({ count: 1 });
  expect(value('rocketmq_timing_messages', 'all')).toBe(1);
  expect(value('rocketmq_timer_enqueue_total', 'all')).toBe(1);
  const ahead = samples.find(({ metric }) => metric === 'rocketmq_delay_message_latency')?.value;
  expect(ahead).toMatchObject({ count: 1, sum: 90 });
});

describe('an operator', () => {
  it('decides on a half message, and it is kept who and when', async () => {
    const [a, b] = [await world.half('a'), await world.half('b')];
    const transactions = world.broker.waiting?.transactions;
    await transactions?.resolve(a, 'commit', 'ada');
    await transactions?.resolve(b, 'rollback', 'ada');
    await transactions?.resolve(b, 'rollback', 'bob'); // Nothing to do, nothing to note.
    await expect(transactions?.resolve(a, 'rollback', 'bob')).rejects.toThrow('CONFLICT');
    await world.crash();
    expect(ids(await world.poll())).toEqual(['a']);
    const audits = world.broker.halfMessages.audits.map(({ who, resolution, position }) => [who, resolution, position]);
    expect(audits).toEqual([
      ['ada', 'commit', a.position],
      ['ada', 'rollback', b.position],
    ]);
  });

  it.each(['commit', 'rollback'] as const)(
    'is never without a note of it, whatever the log refuses (%s)',
    async (how) => {
      const place = await world.half('a');
      const transactions = world.broker.waiting?.transactions;
      world.refuseNext(RecordKind.transactionAudited);
      await transactions?.resolve(place, how, 'ada').catch(() => transactions.resolve(place, how, 'ada'));
      expect(world.broker.halfMessages.audits.map(({ who }) => who)).toEqual(['ada']);
    },
  );
});

// Goal: a committed message appears once, a rolled-back one never, whatever crashes; of two decisions one wins for ever.
// Method: act by chance, with decisions against each other; cut the power by chance; compare with a ledger.
it.each(seeds(6))('transactions survive everything (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  interface Deal {
    readonly id: string;
    readonly place: PendingPlace;
    decided: 'commit' | 'rollback' | undefined;
  }
  const deals: Deal[] = [];
  for (let step = 0; step < 25; step += 1) {
    switch (chance.below(5)) {
      case 0:
      case 1: {
        const begun = deals.length;
        const places = await Promise.all(
          Array.from({ length: chance.below(30) }, (_, i) => world.half(`m${begun + i}`)),
        );
        places.forEach((place, i) => deals.push({ id: `m${begun + i}`, place, decided: undefined }));
        break;
      }
      case 2: {
        const chosen = deals.filter(() => chance.chance(0.3));
        await Promise.all(
          chosen.map(async (deal) => {
            const resolution = chance.pick(['commit', 'rollback'] as const);
            if (!deal.decided || deal.decided === resolution) {
              deal.decided = resolution;
              await world.end(deal.place, resolution);
            } else await expect(world.end(deal.place, resolution)).rejects.toThrow('BAD_REQUEST');
          }),
        );
        break;
      }
      case 3:
        if (chance.chance(0.5)) await world.broker.store.checkpoint();
        await world.pass(chance.below(10 * second), ...(chance.chance(0.5) ? ['p1'] : []));
        break;
      default:
        await world.crash(chance);
        break;
    }
  }
  const visible: string[] = [];
  for (let got = await world.poll(); got.length > 0; got = await world.poll()) visible.push(...ids(got));
  const wanted = deals.filter(({ decided }) => decided === 'commit').map(({ id }) => id);
  expect(visible.sort()).toEqual(wanted.sort());
  expect(world.broker.halfMessages.size).toBe(deals.filter(({ decided }) => !decided).length);
});
