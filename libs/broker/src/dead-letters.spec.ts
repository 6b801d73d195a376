// Goal: a message goes to the dead-letter topic once, whatever the log takes and whenever a leader dies, and one that can't be
// read does no harm while it waits. Method: a whole broker on a memory disk whose log is made to end, or to refuse, between
// the two records of a move; a record that is spoiled on the disk.
import { deadLetterTopic, KiB, queueId, RecordKind, type QueueOffset } from '@cometmq/model';

import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, ids, settle } from './broker-world.js';

const planted = 'planted: the log ends here';

class MovingWorld extends BrokerWorld {
  async letters(): Promise<string[]> {
    const topic = this.directory.topic(deadLetterTopic(this.group.name));
    if (!topic) return [];
    const { store } = this.broker;
    const entries = await store.scan(topic.id, queueId(0), 0 as QueueOffset, 100);
    const places = Array.from({ length: entries.count }, (_, i) => ({
      position: entries.position(i),
      size: entries.size(i),
    }));
    const found = await store.readAll(places);
    return found.map((each) => ('payload' in each ? Buffer.from(each.payload).toString().split('body of ')[1] : '?')!);
  }

  get open(): number | undefined {
    const { inFlight, waiting } = this.broker.groups.figures(this.group.id, this.topic.id, queueId(0))!;
    return inFlight + waiting;
  }

  /** Time passes, and what it begins can end. */
  async pass(seconds: number): Promise<void> {
    for (let left = seconds; left > 0; left -= 1) {
      this.clock.advance(1_000);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    }
  }

  async settled(): Promise<void> {
    for (let i = 0; i < 100 && this.open !== 0; i += 1) await this.pass(1);
    await this.committed();
  }

  committed(): Promise<void> {
    const { store } = this.broker;
    return settle((done) => store.whenCommitted(store.appendEnd, (error) => done(error, undefined)));
  }

  /** From now on the log takes the first of two records that belong together, and nothing after it. */
  cutBehindReference(): void {
    const { store } = this.broker;
    const refer = store.appendReference.bind(store);
    const refused = (): never => {
      throw new Error(planted);
    };
    store.appendReference = (draft) => {
      refer(draft);
      store.append = refused;
      store.appendReference = refused;
      throw new Error(planted);
    };
  }
}

let world: MovingWorld;
beforeEach(async () => (world = await new MovingWorld().start(1)));
afterEach(() => world.broker.stop());

describe('a move to the dead-letter topic', () => {
  it('happens once, where the log refuses the end of a message alone', async () => {
    await world.send('a');
    await world.poll();
    world.refuseNext(RecordKind.ack);
    await world.pass(11);
    await world.settled();
    expect(await world.letters()).toEqual(['a']);
  });

  it.each(['after its last attempt', 'by its client'])(
    'is ended by the next leader, where the log of the one before has half of it (%s)',
    async (how) => {
      await world.send('a');
      const [message] = await world.poll({ invisibleMs: 60_000 });
      world.cutBehindReference();
      const giveUp = (): Promise<void> =>
        settle((done) => world.broker.deadLetter({ receipt: message!.receipt }, done));
      if (how === 'by its client') await expect(giveUp()).rejects.toThrow();
      else await world.pass(61);
      await world.committed();
      expect(await world.letters()).toEqual(['a']);
      expect(world.open).toBe(1);
      await world.crash();
      if (how === 'by its client') await giveUp();
      await world.settled();
      expect([await world.letters(), world.open]).toEqual([['a'], 0]);
    },
  );

  it('happens again to a message that was replayed and failed again, also under the next leader', async () => {
    await world.send('a');
    await world.poll();
    await world.pass(11);
    await world.settled();
    const topic = world.directory.topic(deadLetterTopic(world.group.name))!;
    const entries = await world.broker.store.scan(topic.id, queueId(0), 0 as QueueOffset, 1);
    const places = [{ position: entries.position(0), size: entries.size(0) }];
    await world.broker.replays.replay({ groupId: world.group.id, replayId: 'r', who: 'ada', places });
    expect(ids(await world.poll())).toEqual(['a']);
    await world.committed();
    await world.crash();
    await world.pass(11);
    await world.settled();
    expect(await world.letters()).toEqual(['a', 'a']);
  });

  it('of a message that can not be read waits, is told of once, and ends when that is given up', async () => {
    world.storeLimits = { ...world.storeLimits, tailCacheBytes: 64 * KiB };
    await world.restart();
    await world.sendAny('bad', {}, world.topic, 0, Buffer.concat([Buffer.from('body of bad'), Buffer.alloc(200_000)]));
    await world.poll();
    const entries = await world.broker.store.scan(world.topic.id, queueId(0), 0 as QueueOffset, 1);
    for (let i = 0; i < 20; i += 1) await world.sendAny(`m${i}`, {}, world.topic, 0, Buffer.alloc(200_000));
    const [name] = (await world.disk.list('data/log')).filter((each) => /^\d+\.log$/.test(each)).sort();
    const at = entries.position(0) + entries.size(0);
    world.disk.peek(`data/log/${name}`).fill(1, at - 8, at);
    const { store } = world.broker;
    let reads = 0;
    const read = store.read.bind(store);
    store.read = (...place) => {
      reads += 1;
      return read(...place);
    };
    await world.pass(200);
    expect([world.open, await world.letters()]).toEqual([1, []]);
    expect(reads).toBeGreaterThan(3);
    expect(reads).toBeLessThan(20); // Of two hundred rounds.
    const told = world.said.filter(({ said }) => said.includes('became dead letters'));
    expect(told).toMatchObject([{ facts: { messages: 1 } }]);
    await new BrokerReports(world.broker, world.directory, 'broker-0', '1').giveUpLost('broker-0');
    await world.pass(3);
    expect([world.open, await world.letters()]).toEqual([0, []]);
  });
});
