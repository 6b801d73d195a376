// Goal: lag is what a group has still to do, everywhere and at any time. Method: a broker under random work, and a list of
// every message for each group with what became of it; lag is counted there.
import { lagOf, type Delivered, type ReceiveCall } from '@cometmq/client';
import { ClientType } from '@cometmq/proto';
import { someTraits } from '@cometmq/client/testing';
import {
  deadLetterTopic,
  Envelope,
  queueId,
  queueOffset,
  type ConsumerGroup,
  type FilterExpression,
  type Receipt,
} from '@cometmq/model';
import { Message } from '@cometmq/proto';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { brokerSamples } from './broker-metrics.js';
import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, settle } from './broker-world.js';

const queues = 4;
const everything: FilterExpression = { type: 'tag', expression: '*' };

/** A group, and what it has not done: by queue, the offsets. */
interface Reader {
  readonly group: ConsumerGroup;
  readonly filter: FilterExpression;
  readonly open: Set<number>[];
  /** The newest delivery of each message. */
  readonly held: Map<string, Receipt>;
  /** Dead letters that were seen. */
  dead: number;
  begun: boolean;
}

class LagWorld extends BrokerWorld {
  readonly tags: string[][] = Array.from({ length: queues }, () => []);
  readers: Reader[] = [];

  override async start(): Promise<this> {
    await super.start();
    this.topic = await this.nameService.createTopic({ name: 'lagging', writeQueues: queues, readQueues: queues });
    return this;
  }

  async reader(name: string, given: object, filter = everything): Promise<Reader> {
    const group = await this.nameService.createGroup({ name, ...given });
    const open = Array.from({ length: queues }, () => new Set<number>());
    const reader = { group, filter, open, held: new Map<string, Receipt>(), dead: 0, begun: false };
    this.readers.push(reader);
    return reader;
  }

  async sendSome(chance: Prng): Promise<void> {
    const sent = Array.from({ length: chance.below(30) }, async (_, i) => {
      const queue = chance.below(queues);
      const tag = chance.below(3) === 0 ? 'B' : 'A';
      const id = `${this.clock.monotonicMs()}-${i}-${chance.below(1e9)}`;
      const offset = await this.sendAs(
        id,
        { tag: Buffer.from(tag), group: Buffer.from(`g${chance.below(5)}`) },
        this.topic,
        queue,
      );
      (this.tags[queue] as string[])[offset] = tag;
      for (const { begun, open } of this.readers) if (begun) (open[queue] as Set<number>).add(offset);
    });
    await Promise.all(sent);
  }

  /** All that is kept now is the group's to do: it begins at the first message. */
  begin(reader: Reader): void {
    reader.begun = true;
    this.tags.forEach((tags, queue) => tags.forEach((_, offset) => (reader.open[queue] as Set<number>).add(offset)));
  }

  async pollFor(reader: Reader, given: Partial<ReceiveCall> = {}): Promise<readonly Delivered[]> {
    if (!reader.begun) this.begin(reader);
    const { group, filter } = reader;
    const clientId = `${group.name}-client`;
    const found = await this.poll({
      groupId: group.id,
      filter,
      clientId,
      messagesMax: 8,
      invisibleMs: 10_000,
      ...given,
    });
    for (const { receipt } of found) reader.held.set(`${receipt.queueId}/${receipt.offset}`, receipt);
    return found;
  }

  async ackSome({ held, open }: Reader, chance: Prng): Promise<void> {
    for (const [place, receipt] of held) {
      held.delete(place);
      if (chance.below(3) === 0) continue; // Forgotten: it comes again.
      const counts = await this.ack(receipt).then(
        () => true,
        () => false, // It came too late, or is from before a reset.
      );
      if (counts) open[receipt.queueId]?.delete(receipt.offset);
    }
  }

  /** What has come to the dead-letter topic of the group is done. */
  async takeDead(reader: Reader): Promise<void> {
    const dead = this.directory.topic(deadLetterTopic(reader.group.name));
    if (!dead) return;
    const { committed } = this.broker.store.bounds(dead.id, queueId(0));
    const ids = new Set<string>();
    for (; reader.dead < committed; reader.dead += 1) {
      const offset = reader.dead;
      const entries = await this.broker.store.scan(dead.id, queueId(0), queueOffset(offset), 1);
      ids.add(new Envelope((await this.broker.store.read(entries.position(0), entries.size(0))).payload).id);
    }
    for (const [queue, open] of reader.open.entries()) {
      for (const offset of open) {
        const entries = await this.broker.store.scan(this.topic.id, queueId(queue), queueOffset(offset), 1);
        const { payload } = await this.broker.store.read(entries.position(0), entries.size(0));
        if (ids.has(new Envelope(payload).id)) open.delete(offset);
      }
    }
  }

  /** By each of the ways it is told. */
  async lagOf({ group }: Reader): Promise<{ metric: number; report: number }> {
    let metric = 0;
    for (const sample of brokerSamples(this.broker, this.directory, this.clock)) {
      const { consumer_group, topic } = sample.labels;
      const isIt = sample.metric === 'rocketmq_consumer_lag_messages' && consumer_group === group.name;
      if (isIt && topic === this.topic.name) metric += sample.value as number;
    }
    const reports = new BrokerReports(this.broker, this.directory, 'broker-0', '0');
    const state = await reports.describeGroup('broker-0', group.id);
    const report = state.queues
      .filter(({ topicId }) => topicId === this.topic.id)
      .reduce((sum, queue) => sum + lagOf(queue), 0);
    return { metric, report };
  }

  /** Until nothing more is written, and what was is committed. */
  async rest(): Promise<void> {
    const { store } = this.broker;
    for (let end = -1; end !== store.appendEnd;) {
      end = store.appendEnd;
      await settle<void>((done) => store.whenCommitted(store.appendEnd, (error) => done(error, undefined)));
      for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function withProperty(messageId: string, { tag, n }: { tag: string | undefined; n: string }): Uint8Array {
  const userProperties = new Map([['n', n]]);
  const message = Message.fromPartial({ userProperties, systemProperties: { messageId, tag }, body: Buffer.from(n) });
  return Message.encode(message).finish();
}

const sizeOf = (open: readonly ReadonlySet<number>[]): number => open.reduce((sum, { size }) => sum + size, 0);

it.each(seeds(5))(
  'is exactly what is not done, through retries, dead letters, resets and crashes (seed %i)',
  async (seed) => {
    const chance = new Prng(seed);
    const world = await new LagWorld().start();
    const retryPolicy = { kind: 'customized', nextMs: [1_000] };
    await world.reader('plain', { attemptsMax: 3, retryPolicy });
    await world.reader('ordered', { fifo: true, attemptsMax: 3, retryPolicy });
    await world.reader('mortal', { attemptsMax: 1, retryPolicy });
    const filtered = await world.reader(
      'filtered',
      { attemptsMax: 100, retryPolicy },
      { type: 'tag', expression: 'A' },
    );
    for (let step = 0; step < 60; step += 1) {
      const reader = world.readers[chance.below(4)] as Reader;
      await world.sendSome(chance);
      if (chance.below(2) === 0) await world.pollFor(reader);
      if (chance.below(2) === 0) await world.ackSome(reader, chance);
      if (chance.below(5) === 0) world.clock.advance(chance.below(15_000));
      if (chance.below(12) === 0 && reader.begun) {
        await world.rest();
        await world.takeDead(reader); // Dead letters from before are the group's again.
        const queue = chance.below(queues);
        const { committed } = world.broker.store.bounds(world.topic.id, queueId(queue));
        const to = { at: 'offset', offset: queueOffset(chance.below(committed + 1)) } as const;
        await world.broker.resetProgress({
          groupId: reader.group.id,
          topicId: world.topic.id,
          queueId: queueId(queue),
          to,
        });
        reader.open[queue] = new Set(Array.from({ length: committed - to.offset }, (_, i) => to.offset + i));
      }
      if (chance.below(10) === 0) {
        const given = [...reader.held].slice(0, 2);
        for (const [place] of given) reader.held.delete(place);
        const receipts = given.map(([, receipt]) => receipt);
        await settle((done) => world.broker.handBack({ receipts }, done));
      }
      await world.rest();
      if (chance.below(15) === 0) {
        await world.crash(chance);
        for (const each of world.readers) each.held.clear();
      }
      for (const each of world.readers) {
        await world.takeDead(each);
        if (!each.begun) continue;
        const { metric, report } = await world.lagOf(each);
        expect([each.group.name, metric]).toEqual([each.group.name, report]);
        const open = sizeOf(each.open);
        if (each !== filtered) expect([step, each.group.name, report]).toEqual([step, each.group.name, open]);
        else {
          // What was passed over is done; how far that has got, the broker says.
          const wanted = each.open.map(
            (offsets, queue) => new Set([...offsets].filter((at) => world.tags[queue]?.[at] === 'A')),
          );
          const known = world.broker.sessions.filters(each.group.id, world.topic.id).length > 0;
          // Also where a new leader keeps some for members that it may not have heard of yet.
          if (known) expect(report).toBe(sizeOf(wanted));
          expect(report).toBeGreaterThanOrEqual(sizeOf(wanted));
          expect(report).toBeLessThanOrEqual(open);
        }
      }
    }
    await world.broker.stop();
  },
  120_000,
);

// Goal: what nobody in a group wants is nothing it has to do, also where it has not come to it yet; by its tag or, where a tag
// does not say it, by its properties. Method: more messages than are looked at in one go, counted beside the broker.
describe('a group with filters', () => {
  const wish = (type: 'tag' | 'sql', expression: string): FilterExpression => ({ type, expression });
  it.each([
    ['one tag', [wish('tag', 'A')], (i: number) => i % 3 === 0],
    ['several tags', [wish('tag', 'A || B')], (i: number) => i % 3 < 2],
    ['two members', [wish('tag', 'A'), wish('tag', 'B')], (i: number) => i % 3 < 2],
    ['SQL', [wish('sql', 'n > 700')], (i: number) => i > 700],
    ['SQL and a tag', [wish('sql', 'n > 700'), wish('tag', 'A')], (i: number) => i > 700 || i % 3 === 0],
    ['one that wants everything', [wish('tag', 'A'), everything], () => true],
  ] as const)('has to do what they want: %s', async (_, filters, wants) => {
    const world = await new LagWorld().start();
    const reader = await world.reader('filtered', { start: { at: 'first' } });
    world.clock.advance(130_000); // Every member that was there before has been heard of.
    const sent = Array.from({ length: 1_000 }, (__, i) => i);
    for (const i of sent) {
      const tag = Buffer.from('ABC'[i % 3] as string);
      await world.sendAs(
        `${i}`,
        { tag },
        world.topic,
        i % queues,
        withProperty(`${i}`, { tag: 'ABC'[i % 3], n: `${i}` }),
      );
    }
    const sessions = filters.map((filter, i) => ({
      ...{ ...someTraits, streaming: true, clientId: `c${i}`, groupId: reader.group.id },
      subscriptions: [{ topicId: world.topic.id, filter }],
    }));
    world.broker.reportSessions({ proxyId: 'p', sessions, producers: [] });
    await world.rest();
    const lag = sent.filter(wants).length;
    await world.broker.backlogs.load(reader.group.id);
    expect(await world.lagOf(reader)).toEqual({ metric: lag, report: lag });
    const found = await world.poll({ groupId: reader.group.id, clientId: 'c0', filter: filters[0], messagesMax: 32 });
    await Promise.all(found.map(({ receipt }) => world.ack(receipt)));
    expect(found).toHaveLength(32);
    expect(await world.lagOf(reader)).toEqual({ metric: lag - 32, report: lag - 32 });
    await world.sendAs('another', { tag: Buffer.from('D') }, world.topic, 0);
    const more = filters.length === 2 && filters[1] === everything ? 1 : 0;
    expect(await world.lagOf(reader)).toEqual({ metric: lag - 32 + more, report: lag - 32 + more });
    world.broker.reportSessions({ proxyId: 'p', sessions: [], producers: [] }); // They are gone: what they wanted stays to do.
    await world.rest();
    expect((await world.lagOf(reader)).report).toBe(lag - 32 + more);
    await world.broker.stop();
  });
});

// Goal: what a new leader keeps, as it may not have heard of all members yet, is nothing a paused group has to do. Method: one
// that has been served since the start, for which what it does not want was kept, and that is not served any more.
it.each([
  ['a tag', { type: 'tag', expression: 'A' }],
  ['SQL', { type: 'sql', expression: "TAGS = 'A'" }],
] as const)('a filtered group that is paused early has to do what it wants: %s', async (_, filter) => {
  const world = await new LagWorld().start();
  const reader = await world.reader('early', { start: { at: 'first' } }, filter);
  for (let i = 0; i < 400; i += 1) {
    const tag = i < 200 ? 'B' : 'A';
    await world.sendAs(
      `${i}`,
      { tag: Buffer.from(tag) },
      world.topic,
      i % queues,
      withProperty(`${i}`, { tag, n: '1' }),
    );
  }
  const found = await world.pollFor(reader);
  await Promise.all(found.map(({ receipt }) => world.ack(receipt)));
  await world.rest();
  expect(found).toHaveLength(8);
  expect(world.broker.groups.progressOf(reader.group.id).some(({ parked }) => parked > 0)).toBe(true);
  await world.nameService.updateGroup('early', { pausedUntilMs: world.clock.wallMs() + 3_600_000 });
  expect(await world.lagOf(reader)).toEqual({ metric: 192, report: 192 });
  world.clock.advance(200_000); // Its member is gone: what it wanted counts.
  expect(await world.lagOf(reader)).toEqual({ metric: 192, report: 192 });
  await world.broker.stop();
});

describe('a group that has not been served from all queues', () => {
  it('has all of them to do from its first poll on', async () => {
    const world = await new LagWorld().start();
    const reader = await world.reader('slow', {});
    for (let i = 0; i < 80; i += 1) await world.sendAs(`${i}`, {}, world.topic, i % queues);
    const found = await world.pollFor(reader, { messagesMax: 5, queueId: queueId(0) });
    await Promise.all(found.map(({ receipt }) => world.ack(receipt)));
    expect(await world.lagOf(reader)).toEqual({ metric: 75, report: 75 });
    await world.broker.stop();
  });

  it.each([
    [{ at: 'first' }, 8],
    [{ at: 'auto' }, 8],
    [{ at: 'end' }, 0],
    [{ at: 'time', timeMs: 1_700_000_060_000 }, 4],
  ] as const)(
    'and that begins at %j has what its policy says while only its subscription is known',
    async (start, lag) => {
      const world = await new LagWorld().start();
      const reader = await world.reader('never-polled', { start });
      for (let i = 0; i < 4; i += 1) await world.sendAs(`${i}`, {}, world.topic, i % queues);
      world.clock.advance(60_000);
      for (let i = 4; i < 8; i += 1) await world.sendAs(`${i}`, {}, world.topic, i % queues);
      expect(await world.lagOf(reader)).toEqual({ metric: 0, report: 0 }); // Nobody knows what it will read.
      const subscriptions = [{ topicId: world.topic.id, filter: everything }];
      const session = { ...someTraits, streaming: true, clientId: 'c', groupId: reader.group.id, subscriptions };
      world.broker.reportSessions({ proxyId: 'p', sessions: [session], producers: [] });
      world.clock.advance(5_000);
      await world.rest();
      expect(await world.lagOf(reader)).toEqual({ metric: lag, report: lag });
      // And in a process that knows of no member: it never polled here, and may have at another set.
      world.broker.reportSessions({ proxyId: 'p', sessions: [session], producers: [] });
      for (let i = 8; i < 10; i += 1) await world.sendAs(`${i}`, {}, world.topic, i % queues);
      await world.restart();
      await world.rest();
      expect(await world.lagOf(reader)).toEqual({ metric: lag + 2, report: lag + 2 });
      await world.broker.stop();
    },
  );

  it('has nothing to do that its members pull by offsets of their own', async () => {
    const world = await new LagWorld().start();
    const reader = await world.reader('pulls', { start: { at: 'first' } });
    await world.sendAs('m', {}, world.topic, 0);
    const subscriptions = [{ topicId: world.topic.id, filter: everything }];
    const traits = { ...someTraits, streaming: true, clientType: ClientType.PULL_CONSUMER };
    const session = { ...traits, clientId: 'c', groupId: reader.group.id, subscriptions };
    world.broker.reportSessions({ proxyId: 'p', sessions: [session], producers: [] });
    await world.rest();
    expect([...world.broker.groups.progressOf(reader.group.id)]).toEqual([]);
    await world.broker.stop();
  });

  it('gets what comes to any queue after its first poll, though it begins at the end', async () => {
    const world = await new LagWorld().start();
    const reader = await world.reader('late', { start: { at: 'end' } });
    for (let queue = 0; queue < queues; queue += 1) await world.sendAs(`old ${queue}`, {}, world.topic, queue);
    const waiting = world.poll({ groupId: reader.group.id, messagesMax: 1, waitMs: 20_000 });
    await world.sendAs('new 0', {}, world.topic, 0);
    expect(await waiting).toHaveLength(1);
    for (let queue = 1; queue < queues; queue += 1) await world.sendAs(`new ${queue}`, {}, world.topic, queue);

    expect(await world.poll({ groupId: reader.group.id })).toHaveLength(queues - 1);
    await world.broker.stop();
  });
});
