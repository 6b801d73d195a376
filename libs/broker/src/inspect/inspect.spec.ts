// Goal: what is told of a message is what happened to it, and nothing is missing. Method: a whole broker on a memory disk,
// time in our hands; stories of consumers are played, and the lives that are told are compared with them.
import type { MessageFindings, MessageQuery, Peer, TransferCall } from '@cometmq/client';
import { everybody, everything, logPosition, MessageType, queueId, type LogPosition } from '@cometmq/model';
import { Encoding, Message } from '@cometmq/proto';
import { gzipSync } from 'node:zlib';
import { Pacing } from '@cometmq/shared';
import { readWhole, replaceFile } from '@cometmq/store';
import { silentLogger } from '@cometmq/telemetry';

import { BrokerWorld, settle } from '../broker-world.js';
import { InspectReports } from './inspect-reports.js';
import { MessageSearch } from './message-search.js';

const set = 'broker-0';

class InspectWorld extends BrokerWorld {
  reports!: InspectReports;

  override async start(attemptsMax?: number): Promise<this> {
    await super.start(attemptsMax);
    await this.inspect();
    return this;
  }

  async inspect(indexPieceBytes?: number): Promise<void> {
    const { broker, disk, clock } = this;
    const pieces = indexPieceBytes === undefined ? {} : { indexPieceBytes };
    this.reports = new InspectReports({ broker, disk, folder: 'data', clock, log: silentLogger, ...pieces });
    await this.reports.start();
  }

  /** A message as clients encode it. */
  sendWhole(id: string, message: object, draft = {}): Promise<number> {
    const bytes = Message.encode(Message.fromPartial(message)).finish();
    return this.sendAs(id, draft, this.topic, 0, bytes);
  }

  find(query: Partial<MessageQuery>): Promise<MessageFindings> {
    const none = { messageId: '', key: '', tag: '', messageGroup: '', propertyName: '', propertyValue: '', text: '' };
    return this.reports.findMessages(set, {
      ...{ topicId: this.topic.id, ...none, fromMs: 0, toMs: 0, before: 0, max: 100 },
      ...query,
    });
  }

  /** All parts of a search, one behind the other. */
  async findAll(query: Partial<MessageQuery>): Promise<string[]> {
    const found: string[] = [];
    for (let before = 0; ;) {
      const part = await this.find({ ...query, before });
      found.push(...part.messages.map(({ messageId }) => messageId));
      if (part.next === 0) return found;
      before = part.next;
    }
  }

  async lifeOf(id: string): Promise<string[]> {
    await this.committed();
    const { messages } = await this.find({ messageId: id });
    const { events, indexedTo, cut } = await this.reports.messageLife(set, messages[0]!);
    expect({ indexedTo, cut }).toEqual({ indexedTo: this.broker.store.commitEnd, cut: false });
    return events.map(({ kind, clientId, attempt }) => [kind, clientId, attempt || ''].join(' ').trim());
  }

  committed(): Promise<void> {
    const { store } = this.broker;
    return settle((done) => store.whenCommitted(store.appendEnd, (error) => done(error, undefined)));
  }
}

let world: InspectWorld;
beforeEach(async () => (world = await new InspectWorld().start(2)));
afterEach(async () => {
  await world.reports.stop();
  await world.broker.stop();
});

describe('the life of a message', () => {
  it('is each delivery, by whom, and how it ended', async () => {
    await world.send('a');
    await world.send('b');
    const [a, b] = await world.poll({ clientId: 'anna' });
    await world.ack(a!.receipt);
    await settle((done) =>
      world.broker.changeInvisible({ receipt: b!.receipt, invisibleMs: 1_000, suspend: false }, done),
    );
    world.clock.advance(1_001);
    const [again] = await world.poll({ clientId: 'bert' });
    await settle((done) => world.broker.deadLetter({ receipt: again!.receipt }, done));
    expect(await world.lifeOf('a')).toEqual(['stored', 'delivered anna 1', 'acknowledged anna 1']);
    expect(await world.lifeOf('b')).toEqual([
      ...['stored', 'delivered anna 1', 'timeChanged anna 1', 'delivered bert 2', 'deadLettered bert 2'],
    ]);
  });

  it('is told for each group apart, and knows of a move', async () => {
    const others = await world.nameService.createGroup({ name: 'others' });
    await world.send('a');
    await world.poll({ clientId: 'anna' });
    const [mine] = await world.poll({ clientId: 'carl', groupId: others.id });
    await world.ack(mine!.receipt);
    await world.broker.resetProgress({ groupId: others.id, topicId: world.topic.id, to: { at: 'first' } });
    expect(await world.lifeOf('a')).toEqual([
      ...['stored', 'delivered anna 1', 'delivered carl 1', 'acknowledged carl 1', 'moved'],
    ]);
  });

  it('goes on at another broker set, when this one leaves', async () => {
    const taken: TransferCall[] = [];
    const takeTransfer = (call: TransferCall): Promise<void> => Promise.resolve(void taken.push(call));
    await world.reports.stop();
    world.peers = { peer: () => ({ takeTransfer }) as unknown as Peer };
    await world.restart();
    await world.inspect();
    world.nameService.putSet({ name: 'broker-1', leader: 'b:1' });
    await world.send('a');
    await world.poll({ clientId: 'anna', invisibleMs: 1_000 });
    world.nameService.putSet({ name: 'broker-0', stage: 'draining' });
    while (taken.length === 0) {
      world.clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await world.lifeOf('a')).toEqual(['stored', 'delivered anna 1', 'handedOver']);
    // As the other set tells it: the same message, from a set of another name here.
    world.nameService.putSet({ name: 'broker-0' });
    world.topic = await world.nameService.createTopic({ name: 'there' });
    const messages = taken[0]!.messages.map((message) => ({ ...message, topicId: world.topic.id }));
    await world.broker.takeTransfer({ ...taken[0]!, from: 'broker-2', messages });
    await world.poll({ clientId: 'bert', topicId: world.topic.id });
    expect(await world.lifeOf('a')).toEqual(['cameOver', 'delivered bert 2']);
  });

  it('shows no offset of a message that waits, also where another broker set had it before', async () => {
    world.topic = await world.nameService.createTopic({ name: 'later', type: MessageType.delay });
    const dueMs = world.clock.wallMs() + 60_000;
    const { pending } = await world.sendAny('due', { dueMs });
    const { position, size } = pending!;
    const { payload, timestampMs: storedMs } = await world.broker.store.read(position, size);
    world.nameService.putSet({ name: 'broker-0' });
    const past = { dueMs, storedMs, half: undefined, places: [{ brokerSet: 'broker-2', position, size }] };
    const hashes = { tagHash: 0, groupHash: 0 };
    const message = {
      index: 0,
      topicId: world.topic.id,
      queueId: queueId(0),
      ...hashes,
      audience: everybody,
      payload,
      past,
    };
    const call = { brokerSet: 'broker-0', from: 'broker-2', log: 1, transfer: logPosition(0), messages: [message] };
    const taken = world.broker.takeTransfer(call);
    await world.committed();
    await taken;
    const { messages } = await world.find({ messageId: 'due' });
    expect(messages.map(({ offset }) => offset)).toEqual([undefined, undefined]);
  });

  it('of a delayed message begins before it has a queue, and one taken back ends there', async () => {
    world.topic = await world.nameService.createTopic({ name: 'later', type: MessageType.delay });
    const dueMs = world.clock.wallMs() + 60_000;
    const { pending } = await world.sendAny('due', { dueMs });
    const recalled = await world.sendAny('recalled', { dueMs: dueMs + 60_000 });
    await settle((done) => world.broker.recall({ place: recalled.pending! }, done));
    await world.broker.waiting!.delays.move(pending!, dueMs - 1_000);
    world.clock.advance(60_000);
    while (world.broker.delayed.size > 0) {
      world.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await world.committed();
    await world.poll({ clientId: 'anna' });
    expect(await world.lifeOf('due')).toEqual(['pending', 'rescheduled', 'visible', 'delivered anna 1']);
    expect(await world.lifeOf('recalled')).toEqual(['pending', 'dropped']);
  });

  it('is the same after a restart', async () => {
    await world.send('a');
    const [a] = await world.poll({ clientId: 'anna' });
    await world.ack(a!.receipt);
    const before = await world.lifeOf('a');
    await world.reports.stop();
    await world.crash();
    await world.inspect();
    expect(await world.lifeOf('a')).toEqual(before);
  });

  it.each([
    ['a byte is another', (bytes: Buffer) => void (bytes[bytes.length - 1]! ^= 1)],
    ['its head is another', (bytes: Buffer) => void bytes.fill(0, 0, 4)],
  ])('is the same when a file of its index is damaged: %s', async (_what, spoil) => {
    await world.reports.stop();
    await world.inspect(1); // Each step settles a file.
    await world.send('a');
    const [a] = await world.poll({ clientId: 'anna' });
    await world.ack(a!.receipt);
    const before = await world.lifeOf('a');
    await world.reports.stop();
    const names = await world.disk.list('data/decisions');
    expect(names).not.toEqual([]);
    for (const name of names) {
      const bytes = (await readWhole(world.disk, `data/decisions/${name}`))!;
      spoil(bytes);
      await replaceFile(world.disk, `data/decisions/${name}`, [bytes]);
    }
    await world.inspect(1);
    expect(await world.lifeOf('a')).toEqual(before);
    const whole = (await readWhole(world.disk, `data/decisions/${names[0]!}`))!;
    expect(whole.readUInt32LE(0)).not.toBe(0); // Made again.
  });

  it('is not found at a place where no message stands', async () => {
    await world.send('a');
    await world.committed();
    const place = { position: 5 as LogPosition, size: 100 };
    await expect(world.reports.messageLife(set, place)).rejects.toMatchObject({ code: 'MESSAGE_NOT_FOUND' });
    expect(await world.reports.readMessage(set, place, 10)).toBeUndefined();
    expect(world.broker.store.damage.all).toEqual([]); // A made-up place says nothing of the log.
  });
});

describe('a search', () => {
  it('finds by tag, key, property, message group and text, newest first', async () => {
    const system = { messageId: '', keys: ['k1', 'k2'], tag: 'paid', messageGroup: 'g' };
    await world.sendWhole('plain', { body: Buffer.from('some <b>text</b>') });
    await world.sendWhole(
      'full',
      { systemProperties: system, userProperties: new Map([['region', 'eu']]), body: Buffer.from('other text') },
      { tag: Buffer.from('paid'), keys: [Buffer.from('k1'), Buffer.from('k2')], group: Buffer.from('g') },
    );
    await world.sendWhole('packed', {
      systemProperties: { bodyEncoding: Encoding.GZIP },
      body: gzipSync('hidden text'),
    });
    await world.committed();
    const cases: readonly (readonly [Partial<MessageQuery>, readonly string[]])[] = [
      [{}, ['packed', 'full', 'plain']],
      [{ tag: 'paid' }, ['full']],
      [{ key: 'k2' }, ['full']],
      [{ propertyName: 'region' }, ['full']],
      [{ propertyName: 'region', propertyValue: 'us' }, []],
      [{ messageGroup: 'g' }, ['full']],
      [{ text: 'text' }, ['packed', 'full', 'plain']],
      [{ text: 'hidden' }, ['packed']],
      [{ text: '<b>' }, ['plain']],
      [{ messageId: 'plain' }, ['plain']],
      [{ toMs: 1 }, []],
    ];
    for (const [query, expected] of cases) expect([query, await world.findAll(query)]).toEqual([query, expected]);
  });

  it('finds all that have a key, however many more they are than one part knows of, newest first', async () => {
    const sent: string[] = [];
    for (let i = 0; i < 23; i += 1) {
      await world.sendWhole(`m${i}`, { systemProperties: { keys: ['same'] } }, { keys: [Buffer.from('same')] });
      sent.unshift(`m${i}`);
    }
    await world.committed();
    const search = new MessageSearch(world.broker.store, world.clock, new Pacing(world.clock), 5);
    world.reports.findMessages = (_set, query) => search.find(query);
    expect(await world.findAll({ key: 'same', max: 3 })).toEqual(sent);
    expect(await world.findAll({ key: 'same', max: 100 })).toEqual(sent);
  });

  it('goes on for ever, over all queues, and has the same answer twice while more comes in', async () => {
    world.topic = await world.nameService.createTopic({ name: 'wide', writeQueues: 3 });
    const sent: string[] = [];
    for (let i = 0; i < 300; i += 1) {
      await world.sendAs(`m${i}`, { keys: [Buffer.from('same')] }, world.topic, i % 3);
      sent.unshift(`m${i}`);
    }
    await world.committed();
    expect(await world.findAll({ max: 7 })).toEqual(sent);
    const first = await world.find({ max: 100 });
    expect(first).toMatchObject({ looked: 100, left: 200 });
    for (let i = 0; i < 50; i += 1) await world.sendAs(`new${i}`, {}, world.topic, i % 3);
    await world.committed();
    const rest = await world.find({ max: 500, before: first.next });
    expect([...first.messages, ...rest.messages].map(({ messageId }) => messageId)).toEqual(sent);
    expect(rest).toMatchObject({ next: 0, left: 0 });
  });

  it('shows a body that is no text, and one that claims to be packed', async () => {
    await world.sendWhole('binary', { body: Uint8Array.of(0, 255, 254) });
    await world.sendWhole('lie', { systemProperties: { bodyEncoding: Encoding.GZIP }, body: Buffer.from('no gzip') });
    await world.committed();
    for (const [id, encoding] of [
      ['binary', 'identity'],
      ['lie', 'other'],
    ] as const) {
      const [found] = (await world.find({ messageId: id })).messages;
      expect(await world.reports.readMessage(set, found!, 2)).toMatchObject({ encoding, cut: true });
    }
  });
});

it('lanes tell which message each message group waits for', async () => {
  world.topic = await world.nameService.createTopic({ name: 'turns', type: MessageType.fifo });
  world.group = await world.nameService.createGroup({ name: 'orderly', fifo: true });
  const draft = { group: Buffer.from('customer-1') };
  for (const id of ['first', 'second']) await world.sendAs(id, draft);
  await world.sendAs('other', { group: Buffer.from('customer-2') });
  await world.poll({ clientId: 'anna', messagesMax: 1, attemptId: 'x', filter: everything, queueId: queueId(0) });
  const { lanes, total } = await world.reports.lanes(set, world.group.id, 10);
  expect(total).toBe(1);
  expect(lanes).toMatchObject([{ messageGroup: 'customer-1', messageId: 'first', attempt: 1, clientId: 'anna' }]);
});

it('the move of a group is noted with who did it, and a preview moves and notes nothing', async () => {
  for (const id of ['a', 'b', 'c']) await world.send(id);
  for (const { receipt } of await world.poll()) await world.ack(receipt);
  const call = { groupId: world.group.id, topicId: world.topic.id, to: { at: 'first' } } as const;
  const queues = [{ queueId: 0, before: 3, after: 0 }];
  expect(await world.broker.resetProgress({ ...call, preview: true })).toEqual(queues);
  expect(await world.reports.moves(set, world.group.id, 0)).toEqual([]);
  await world.broker.resetProgress({ ...call, move: { id: 'm1', who: 'ada', undoes: '' } });
  expect(await world.reports.moves(set, world.group.id, 0)).toEqual([
    {
      moveId: 'm1',
      who: 'ada',
      undoes: '',
      atMs: expect.any(Number),
      groupId: world.group.id,
      topicId: world.topic.id,
      queues,
    },
  ]);
  expect(await world.reports.moves(set, world.group.id, world.clock.wallMs() + 60_000)).toEqual([]);
});

it('the lag of a group is sampled while something waits, and once when nothing does any more', async () => {
  await world.poll(); // The group begins.
  await world.send('a');
  const storedMs = world.clock.wallMs();
  await world.committed();
  const sampled = async (): Promise<void> => {
    await world.reports.sampleLag();
    await world.committed();
  };
  world.clock.advance(5_000);
  await sampled();
  await world.send('b');
  await sampled();
  for (const { receipt } of await world.poll()) await world.ack(receipt);
  await world.committed();
  for (let i = 0; i < 3; i += 1) await sampled();
  const points = await world.reports.lagHistory(set, world.group.id, 0);
  expect(points.map(({ lag, oldestMs }) => [lag, oldestMs])).toEqual([
    [1, storedMs],
    [2, storedMs],
    [0, 0],
  ]);
});
