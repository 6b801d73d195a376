// Goal: a dead letter that is replayed goes to its own group and nobody else, as often as it may be delivered, and both the
// group and the message know of it; what can't be replayed is answered so and stays as it was. Method: a whole broker on a
// memory disk; also over gRPC, also started again from nothing but its log.
import { GrpcDeadLetterAdmin, type DeadLetterAdmin, type LeaderChannels, type MessagePlace } from '@cometmq/client';
import {
  deadLetterTopic,
  encodeEnvelope,
  Envelope,
  MessageType,
  queueId,
  RecordKind,
  type LogPosition,
  type QueueOffset,
} from '@cometmq/model';
import { Message } from '@cometmq/proto';
import { silentLogger } from '@cometmq/telemetry';

import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, settle } from './broker-world.js';
import { deadLetterMethods } from './dead-letter-door.js';
import { InspectReports } from './inspect/inspect-reports.js';

const set = 'broker-0';

class LettersWorld extends BrokerWorld {
  inspection!: InspectReports;
  /** Through the wire. */
  admin!: DeadLetterAdmin;

  override async start(attemptsMax = 2): Promise<this> {
    await super.start(attemptsMax);
    await this.look();
    return this;
  }

  async look(): Promise<void> {
    const { broker, disk, clock } = this;
    this.inspection = new InspectReports({ broker, disk, folder: 'data', clock, log: silentLogger });
    await this.inspection.start();
    const reports = new BrokerReports(broker, this.directory, set, '1', this.inspection);
    const methods = deadLetterMethods(() => reports.deadLetters, set);
    const ask = (_: string, path: string, request: Uint8Array): Promise<Uint8Array> =>
      new Promise((resolve, reject) => {
        const method = methods[path.split('/').at(-1) ?? ''];
        if (method?.kind !== 'unary') throw new Error(`${path} is no call of the service`);
        const send = (answer: Uint8Array | readonly Uint8Array[]): void =>
          resolve(Buffer.concat(answer instanceof Uint8Array ? [answer] : answer));
        method.handler(Buffer.from(request), {} as never, { send, fail: reject });
      });
    this.admin = new GrpcDeadLetterAdmin({ ask } as unknown as LeaderChannels);
  }

  sendWhole(id: string, draft = {}): Promise<number> {
    const message = Message.fromPartial({ body: Buffer.from(`body of ${id}`), systemProperties: { messageId: id } });
    return this.sendAs(id, draft, this.topic, 0, Message.encode(message).finish());
  }

  /** Everything that waits for the group is given up by its consumer. */
  async giveUp(): Promise<void> {
    for (const { receipt } of await this.poll()) await settle((done) => this.broker.deadLetter({ receipt }, done));
    await this.committed();
  }

  async letters(): Promise<MessagePlace[]> {
    const topic = this.directory.topic(deadLetterTopic(this.group.name))!;
    const entries = await this.broker.store.scan(topic.id, queueId(0), 0 as QueueOffset, 100);
    return Array.from({ length: entries.count }, (_, i) => ({ position: entries.position(i), size: entries.size(i) }));
  }

  /** A dead letter of the group comes from another set. */
  async takeLetter(id: string, index = 0): Promise<void> {
    const dead = await this.nameService.ensureInnerTopic(deadLetterTopic(this.group.name));
    this.nameService.putSet({ name: set });
    const none = Buffer.alloc(0);
    const draft = { type: MessageType.normal, tag: none, id: Buffer.from(id), group: none, keys: [] };
    const message = Message.fromPartial({ body: Buffer.from(`body of ${id}`), systemProperties: { messageId: id } });
    const payload = Buffer.concat([encodeEnvelope(draft), Message.encode(message).finish()]);
    const letter = { groupId: this.group.id, originTopicId: this.topic.id, cause: 1, attempts: 2 };
    const at = { index, topicId: dead.id, queueId: queueId(0), tagHash: 0, groupHash: 0 };
    await this.broker.takeTransfer({
      ...{ brokerSet: set, from: 'broker-1', log: 5, transfer: 64 as LogPosition },
      messages: [{ ...at, audience: { only: false, groups: [] }, payload, letter }],
    });
  }

  call(places: readonly MessagePlace[]) {
    return { groupId: this.group.id, replayId: 'r1', who: 'ada', places };
  }

  /** Of all letters there are. */
  replays() {
    const { id: letterTopicId } = this.directory.topic(deadLetterTopic(this.group.name))!;
    const range = { first: 0 as QueueOffset, last: 99 as QueueOffset, after: 0 as LogPosition };
    return this.admin.replays(set, { groupId: this.group.id, letterTopicId, ...range });
  }

  committed(): Promise<void> {
    const { store } = this.broker;
    return settle((done) => store.whenCommitted(store.appendEnd, (error) => done(error, undefined)));
  }

  async polled(given = {}): Promise<string[]> {
    const messages = await this.poll(given);
    return messages.map(({ payload, receipt }) => `${new Envelope(payload).id} ${receipt.attempt}`);
  }

  async lifeOf(place: MessagePlace): Promise<string[]> {
    const { events } = await this.inspection.messageLife(set, place);
    return events.map(({ kind, who }) => [kind, who].join(' ').trim());
  }
}

let world: LettersWorld;
beforeEach(async () => (world = await new LettersWorld().start()));
afterEach(async () => {
  await world.inspection.stop();
  await world.broker.stop();
});

it('is delivered again to its own group only, with all its attempts before it', async () => {
  const others = await world.nameService.createGroup({ name: 'others' });
  for (const id of ['a', 'b']) await world.sendWhole(id);
  for (const { receipt } of await world.poll({ groupId: others.id })) await world.ack(receipt);
  await world.giveUp();
  const [a] = await world.letters();
  expect(await world.admin.replay(set, world.call([a!]))).toEqual(['replayed']);
  expect(await world.polled({ groupId: others.id })).toEqual([]);
  expect(await world.polled()).toEqual(['a 1']);
  world.clock.advance(10_001);
  expect(await world.polled()).toEqual(['a 2']); // Not consumed: it has as many attempts as any message.
  expect(await world.replays()).toMatchObject([{ replayId: 'r1', who: 'ada', mode: 'toGroup', letters: [0] }]);
  expect((await world.lifeOf(a!)).slice(-4)).toEqual(['deadLettered', 'replayed ada', 'delivered', 'delivered']);
});

it('is done when it is acknowledged then, or given up once more', async () => {
  for (const id of ['a', 'b', 'c']) await world.sendWhole(id);
  await world.giveUp();
  await world.admin.replay(set, world.call((await world.letters()).slice(0, 2)));
  const [a, b] = await world.poll();
  await world.ack(a!.receipt);
  await settle((done) => world.broker.deadLetter({ receipt: b!.receipt }, done));
  expect(world.broker.groups.figures(world.group.id, world.topic.id, queueId(0))).toMatchObject({
    ...{ committed: 3, frontier: 3, inFlight: 0 },
  });
  expect(await world.polled()).toEqual([]);
  expect(await world.letters()).toHaveLength(4); // Of b there are two now.
});

it('is delivered once, also where it was due when it became one', async () => {
  for (const id of ['a', 'b']) await world.sendWhole(id);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await world.poll({ clientId: `c${attempt}` });
    world.clock.advance(10_001);
  }
  expect(await world.polled()).toEqual([]); // Their attempts are used up: they are moved.
  const isMoved = async (): Promise<boolean> =>
    world.directory.topic(deadLetterTopic(world.group.name)) !== undefined && (await world.letters()).length === 2;
  for (let turn = 0; !(await isMoved()); turn += 1) {
    expect(turn).toBeLessThan(1_000);
    await world.committed();
  }
  await world.admin.replay(set, world.call(await world.letters()));
  const messages = await world.poll();
  expect(messages.map(({ receipt }) => receipt.offset).sort()).toEqual([0, 1]);
  for (const { receipt } of messages) await world.ack(receipt);
  expect(world.broker.groups.figures(world.group.id, world.topic.id, queueId(0))).toMatchObject({
    ...{ committed: 2, inFlight: 0 },
  });
});

it('reaches a consumer that is waiting already', async () => {
  await world.sendWhole('a');
  await world.giveUp();
  const waiting = world.polled({ waitMs: 60_000 });
  await world.admin.replay(set, world.call(await world.letters()));
  expect(await waiting).toEqual(['a 1']);
});

it('is known after a start from nothing but the log', async () => {
  for (const id of ['a', 'b', 'c']) await world.sendWhole(id);
  await world.giveUp();
  const [, b] = await world.letters();
  await world.admin.replay(set, world.call([b!]));
  await world.restartWithoutCheckpoint();
  expect(await world.polled()).toEqual(['b 1']);
});

it('is known from a checkpoint', async () => {
  for (const id of ['a', 'b', 'c']) await world.sendWhole(id);
  await world.giveUp();
  await world.admin.replay(set, world.call((await world.letters()).slice(1)));
  await world.restart();
  expect(await world.polled()).toEqual(['b 1', 'c 1']);
});

it('says why it became one, and after how many deliveries', async () => {
  await world.sendWhole('a');
  await world.giveUp();
  await world.sendWhole('b');
  await world.poll();
  world.clock.advance(10_001);
  await world.poll();
  world.clock.advance(10_001);
  await world.poll(); // Its second attempt has ended: it goes now.
  const topicId = world.directory.topic(deadLetterTopic(world.group.name))!.id;
  const none = { messageId: '', key: '', tag: '', messageGroup: '', propertyName: '', propertyValue: '', text: '' };
  const find = () => world.inspection.findMessages(set, { ...none, topicId, fromMs: 0, toMs: 0, before: 0, max: 10 });
  for (let turn = 0; (await find()).messages.length < 2; turn += 1) {
    expect(turn).toBeLessThan(1_000);
    world.clock.advance(1_000);
    await world.committed();
  }
  const { messages } = await find();
  expect(messages.map(({ messageId, cause, attempts }) => [messageId, cause, attempts])).toEqual([
    ['b', 1, 2],
    ['a', 2, 1],
  ]);
});

describe('what can not be replayed is answered so, and the others are', () => {
  it('of another group, of no message, the same twice, what the group holds', async () => {
    const others = await world.nameService.createGroup({ name: 'others' });
    for (const id of ['a', 'b']) await world.sendWhole(id);
    await world.giveUp();
    const [a, b] = await world.letters();
    const places = [a!, a!, { position: 1 as never, size: 60 }, b!];
    expect(await world.admin.replay(set, world.call(places))).toEqual(['replayed', 'open', 'notALetter', 'replayed']);
    expect(await world.admin.replay(set, world.call([a!]))).toEqual(['open']);
    const wrong = { ...world.call([a!]), groupId: others.id };
    expect(await world.admin.replay(set, wrong)).toEqual(['notALetter']);
    expect(await world.polled()).toEqual(['a 1', 'b 1']);
  });

  it('where the topic is gone', async () => {
    await world.sendWhole('a');
    await world.giveUp();
    const letters = await world.letters();
    await world.nameService.deleteTopic(world.topic.name);
    expect(await world.admin.replay(set, world.call(letters))).toEqual(['gone']);
  });

  it('in an orderly group, which may have it as a new message of the topic', async () => {
    world.topic = await world.nameService.createTopic({ name: 'turns', type: MessageType.fifo });
    world.group = await world.nameService.createGroup({ name: 'orderly', fifo: true });
    await world.sendWhole('a', { group: Buffer.from('g') });
    await world.poll({ topicId: world.topic.id });
    const [mine] = world.broker.groups.heldBy(world.group.id, 'c1');
    await settle((done) =>
      world.broker.deadLetter(
        { held: { groupId: world.group.id, clientId: 'c1', topicId: mine!.topicId, messageId: 'a' } },
        done,
      ),
    );
    await world.committed();
    const [letter] = await world.letters();
    expect(await world.admin.replay(set, world.call([letter!]))).toEqual(['orderly']);
    const { messageId } = await world.admin.resend(set, {
      ...{ groupId: world.group.id, replayId: 'r2', who: 'ada', place: letter! },
    });
    expect(await world.polled({ topicId: world.topic.id })).toEqual([`${messageId} 1`]);
  });
});

it('is sent to its topic again, edited, as a message of its own', async () => {
  const others = await world.nameService.createGroup({ name: 'others' });
  await world.sendWhole('a', { tag: Buffer.from('hot') });
  for (const { receipt } of await world.poll({ groupId: others.id })) await world.ack(receipt);
  await world.giveUp();
  const [letter] = await world.letters();
  const sent = await world.admin.resend(set, {
    ...{ groupId: world.group.id, replayId: 'r1', who: 'ada', place: letter!, body: Buffer.from('better') },
    ...{ tag: 'cold', keys: ['k1'], properties: new Map([['fixed', 'yes']]) },
  });
  expect(sent).toMatchObject({ queueId: 0, offset: 1 });
  for (const groupId of [world.group.id, others.id]) {
    const [again] = await world.poll({ groupId });
    const envelope = new Envelope(again!.payload);
    expect([envelope.id, envelope.tag.toString()]).toEqual([sent.messageId, 'cold']);
    const { body, userProperties, systemProperties } = Message.decode(envelope.message);
    expect(Buffer.from(body).toString()).toBe('better');
    expect([...userProperties]).toEqual([['fixed', 'yes']]);
    expect(systemProperties).toMatchObject({ messageId: sent.messageId, tag: 'cold', keys: ['k1'] });
  }
  expect(await world.lifeOf(letter!)).toContain('resent ada');
  expect(await world.replays()).toMatchObject([{ mode: 'toTopic', letters: [0] }]);
});

it('is sent once by calls that repeat one of which the note was refused; and again, if that is wanted', async () => {
  await world.sendWhole('a');
  await world.giveUp();
  const [letter] = await world.letters();
  const call = { groupId: world.group.id, replayId: 'r1', who: 'ada', place: letter! };
  world.refuseNext(RecordKind.deadLettersReplayed);
  await expect(world.admin.resend(set, call)).rejects.toBe(8);
  const sent = await world.admin.resend(set, { ...call, replayId: 'r2' });
  expect(sent).toMatchObject({ queueId: 0, offset: 1 });
  expect(await world.replays()).toMatchObject([{ replayId: 'r2', letters: [0] }]);
  const again = await world.admin.resend(set, { ...call, replayId: 'r3' });
  expect(again).toMatchObject({ queueId: 0, offset: 2 });
  expect(again.messageId).not.toBe(sent.messageId);
  const both = [world.admin.resend(set, call), world.admin.resend(set, call)];
  const ends = await Promise.allSettled(both);
  expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(await world.polled()).toHaveLength(3);
});

describe('one that came from another broker set', () => {
  it('reaches a consumer that is waiting already; the letter and the message tell of it', async () => {
    await world.takeLetter('a');
    const waiting = world.poll({ waitMs: 60_000 });
    const [letter] = await world.letters();
    expect(await world.admin.replay(set, world.call([letter!]))).toEqual(['replayed']);
    const [given] = await waiting;
    expect(new Envelope(given!.payload).id).toBe('a');
    expect(await world.replays()).toMatchObject([{ replayId: 'r1', who: 'ada', mode: 'toGroup', letters: [0] }]);
    expect(await world.lifeOf(letter!)).toEqual(['cameOver broker-1', 'replayed ada']);
    const entries = await world.broker.store.scan(world.topic.id, queueId(0), 0 as QueueOffset, 1);
    const place = { position: entries.position(0), size: entries.size(0) };
    expect(await world.lifeOf(place)).toEqual(['replayed ada', 'delivered']);
    await world.ack(given!.receipt);
    const again = { ...world.call([letter!]), replayId: 'r2', who: 'bob' };
    expect(await world.admin.replay(set, again)).toEqual(['replayed']);
    expect(await world.replays()).toMatchObject([{ replayId: 'r2', who: 'bob', letters: [0] }]); // The last time.
  });

  it.each(['restart', 'restartWithoutCheckpoint'] as const)('is known to have gone back after a %s', async (how) => {
    for (const [index, id] of ['a', 'b', 'c'].entries()) await world.takeLetter(id, index);
    const [, b, c] = await world.letters();
    await world.admin.replay(set, world.call([b!]));
    await world.inspection.stop();
    await world[how]();
    await world.look();
    expect(await world.admin.replay(set, world.call([b!, c!]))).toEqual(['open', 'replayed']);
    expect(await world.polled()).toEqual(['b 1', 'c 1']);
    expect((await world.replays()).flatMap(({ letters }) => letters).sort()).toEqual([1, 2]);
  });

  it('can not be replayed where its topic is gone', async () => {
    await world.takeLetter('a');
    const letters = await world.letters();
    await world.nameService.deleteTopic(world.topic.name);
    expect(await world.admin.replay(set, world.call(letters))).toEqual(['gone']);
  });
});
