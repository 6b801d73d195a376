/**
 * Goal: lines of the audit log stand in their topic once, in their order; nobody sees them among a group's dead letters. Method: a
 * whole broker on a memory disk.
 */
import type { AuditLine } from '@cometmq/client';
import {
  auditTopic,
  deadLetterTopic,
  Envelope,
  everything,
  MessageType,
  queueId,
  type QueueOffset,
} from '@cometmq/model';
import { Message } from '@cometmq/proto';

import { auditLinesMax } from './audit-lines.js';
import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, settle } from './broker-world.js';

let world: BrokerWorld;
let reports: BrokerReports;
const set = 'broker-0';
beforeEach(async () => {
  world = await new BrokerWorld().start(1);
  reports = new BrokerReports(world.broker, world.directory, set, '1');
});
afterEach(() => world.broker.stop());

const line = (id: number): AuditLine => ({
  id: `id-${id}`,
  timeMs: 1_700_000_000_123 + id,
  text: Buffer.from(`line ${id}`),
  tag: 'done',
  keys: [`r-${id}`],
  properties: new Map([['operation', 'createTopic']]),
});
const lines = (from: number, end: number): AuditLine[] => Array.from({ length: end - from }, (_, i) => line(from + i));

async function stored(): Promise<{ readonly envelope: Envelope; readonly message: Message }[]> {
  const topic = world.directory.topic(auditTopic);
  if (!topic) return [];
  const { store } = world.broker;
  const entries = await store.scan(topic.id, queueId(0), 0 as QueueOffset, 1_000);
  const places = Array.from({ length: entries.count }, (_, i) => ({
    position: entries.position(i),
    size: entries.size(i),
  }));
  return (await store.readAll(places)).map((each) => {
    if (!('payload' in each)) throw each;
    const envelope = new Envelope(each.payload);
    return { envelope, message: Message.decode(envelope.message) };
  });
}
const bodies = async (): Promise<string[]> => (await stored()).map(({ message }) => message.body.toString());

it('become messages, in order, and once though they are sent again', async () => {
  await reports.appendAudit(set, { source: 'proxy a', lines: lines(0, 5) });
  await reports.appendAudit(set, { source: 'proxy a', lines: lines(3, 8) });
  expect(await bodies()).toEqual(lines(0, 8).map(({ text }) => Buffer.from(text).toString()));
  const [first] = await stored();
  expect(first?.envelope).toMatchObject({ type: MessageType.fifo, id: 'id-0', group: 'proxy a' });
  expect(first?.message).toMatchObject({
    topic: { name: auditTopic },
    systemProperties: { tag: 'done', keys: ['r-0'], messageGroup: 'proxy a', bornTimestamp: { nanos: 123_000_000 } },
  });
  expect(first?.message.userProperties.get('operation')).toBe('createTopic');
});

it('are refused where they are too many, nobody’s, or of another broker set', async () => {
  const many = Array.from({ length: auditLinesMax + 1 }, (_, i) => line(i));
  await expect(reports.appendAudit(set, { source: 'a', lines: many })).rejects.toThrow('[BAD_REQUEST]');
  await expect(reports.appendAudit(set, { source: '', lines: lines(0, 1) })).rejects.toThrow('[BAD_REQUEST]');
  await expect(reports.appendAudit('other', { source: 'a', lines: lines(0, 1) })).rejects.toThrow('[NOT_FOUND]');
  await reports.appendAudit(set, { source: 'a', lines: [] });
  expect(await bodies()).toEqual([]);
});

it('are no dead letters of a group that is done with them', async () => {
  await reports.appendAudit(set, { source: 'proxy a', lines: lines(0, 1) });
  const topicId = world.directory.topic(auditTopic)!.id;
  const poll = { topicId, filter: everything, invisibleMs: 10_000 };
  const [message] = await world.poll(poll);
  await settle((done) => world.broker.deadLetter({ receipt: message!.receipt }, done));
  expect(world.directory.topic(deadLetterTopic(world.group.name))).toBeUndefined();
  expect(world.broker.groups.figures(world.group.id, topicId, queueId(0))).toMatchObject({ inFlight: 0, waiting: 0 });
  expect(await bodies()).toEqual(['line 0']);
});
