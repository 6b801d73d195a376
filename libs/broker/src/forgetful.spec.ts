// Goal: nothing of topics, groups and clients that are gone stays in a leader's memory. Method: they come, do all that they can
// do, and go, again and again; then every map and set that the broker has to do with, however deep, is counted.
import { deadLetterTopic, everything, MessageType, queueId, queueOffset, topicId, type Topic } from '@cometmq/model';

import { brokerSamples } from './broker-metrics.js';
import { BrokerWorld, settle } from './broker-world.js';

const minute = 60_000;

class ComingAndGoing extends BrokerWorld {
  /** Time passes, and what it begins can end. */
  async pass(seconds: number): Promise<void> {
    for (let left = seconds; left > 0; left -= 1) {
      this.clock.advance(1_000);
      for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    }
  }

  /** A life of topics of each type, with groups that read them. */
  async live(name: string): Promise<void> {
    const { nameService, broker } = this;
    const make = (kind: string, type: MessageType): Promise<Topic> =>
      nameService.createTopic({ name: `${kind}-${name}`, type, readQueues: 2, writeQueues: 2 });
    const normal = await make('normal', MessageType.normal);
    const delay = await make('delay', MessageType.delay);
    const deals = await make('deals', MessageType.transaction);
    const urgent = await make('urgent', MessageType.priority);
    const lite = await make('lite', MessageType.lite);
    const groups = [
      await nameService.createGroup({ name: `readers-${name}`, attemptsMax: 1 }),
      await nameService.createGroup({ name: `late-${name}`, start: { at: 'time', timeMs: 0 } }),
      await nameService.createGroup({ name: `orderly-${name}`, fifo: true }),
      await nameService.createGroup({ name: `lite-${name}`, lite: { topic: lite.name } }),
      await nameService.createGroup({ name: `all-${name}`, lite: { topic: lite.name, wildcard: true } }),
    ];
    const [readers, late, orderly, liteOnes] = groups as [
      (typeof groups)[0],
      (typeof groups)[0],
      (typeof groups)[0],
      (typeof groups)[0],
    ];
    const sessions = groups.map(({ id: groupId }) => ({
      ...{ clientId: `c-${name}`, groupId, clientType: 1, language: 'JAVA', version: '5', streaming: true },
      subscriptions: [normal, urgent].map(({ id: topicId }) => ({ topicId, filter: everything })),
    }));
    const producers = [
      { clientId: `p-${name}`, topicIds: [deals.id], language: 'JAVA', version: '5', streaming: true },
    ];
    broker.reportSessions({ proxyId: `proxy-${name}`, sessions, producers });
    for (let i = 0; i < 4; i += 1) {
      await this.sendAs(`n${i}`, { group: Buffer.from('g') }, normal, i % 2);
      await this.sendAs(`u${i}`, { priority: 0 }, urgent, i % 2);
    }
    await this.sendAny('d', { dueMs: this.clock.wallMs() + 2_000 }, delay);
    const { pending } = await this.sendAny('h', {}, deals);
    const { pending: other } = await this.sendAny('r', {}, deals);
    await settle((done) => broker.endTransaction({ place: pending!, resolution: 'commit', checked: false }, done));
    await settle((done) => broker.endTransaction({ place: other!, resolution: 'rollback', checked: false }, done));
    await this.sendAny('open', {}, deals);
    await settle((done) =>
      broker.syncLite(
        {
          clientId: `c-${name}`,
          groupId: liteOnes.id,
          topicId: lite.id,
          action: 'add',
          liteTopics: ['a'],
          start: undefined,
        },
        done,
      ),
    );
    await this.sendAs('l', { liteTopic: Buffer.from('a') }, lite);
    const client = { clientId: `c-${name}`, invisibleMs: 10_000 };
    for (const group of groups) {
      for (const topic of group.lite ? [lite] : [normal, delay, deals, urgent]) {
        for (let turn = 0; turn < 3; turn += 1) {
          const messages = await this.poll({
            ...client,
            groupId: group.id,
            topicId: topic.id,
            messagesMax: 2,
            attemptId: `${turn}`,
          });
          const [first, ...rest] = messages;
          if (group !== readers) await Promise.all(messages.map(({ receipt }) => this.ack(receipt)));
          else if (first && turn === 0) await settle((done) => broker.deadLetter({ receipt: first.receipt }, done));
          else for (const { receipt } of rest) await this.ack(receipt);
          for (let i = 0; i < 10; i += 1) await new Promise(setImmediate);
        }
      }
    }
    const { id: groupId } = late;
    await settle((done) =>
      broker.offsets(
        { topicId: normal.id, queueId: queueId(0), ask: { kind: 'setForGroup', groupId, offset: queueOffset(1) } },
        done,
      ),
    );
    expect(broker.groups.progressOf(orderly.id).length).toBeGreaterThan(0);
    for (const { id } of groups) await broker.backlogs.load(id);
    await this.pass(15);
    brokerSamples(broker, this.directory, this.clock);
    for (const group of groups) {
      await settle((done) => broker.clientGone({ clientId: client.clientId, groupId: group.id }, done));
      await nameService.deleteGroup(group.name);
    }
    for (const topic of [normal, delay, deals, urgent, lite]) await nameService.deleteTopic(topic.name);
    const letters = this.directory.topic(deadLetterTopic(readers.name));
    if (letters) await nameService.deleteTopic(letters.name);
  }
}

/** How many entries each map and set has that `root` leads to, by how one gets there. Two that come by one way are one. */
function entriesBelow(root: object): Map<string, number> {
  const found = new Map<string, number>();
  const seen = new Set<object>();
  const queue: [object, string][] = [[root, '']];
  const visit = (value: unknown, way: string): void => {
    if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !seen.has(value)) {
      seen.add(value);
      queue.push([value, way]);
    }
  };
  for (let next = queue.pop(); next; next = queue.pop()) {
    const [value, way] = next;
    if (value instanceof Map || value instanceof Set) {
      found.set(way, (found.get(way) ?? 0) + value.size);
      for (const each of value.values()) visit(each, `${way}.*`);
    } else if (Array.isArray(value)) for (const each of value) visit(each, `${way}.*`);
    for (const key of Object.keys(value)) {
      if (!Array.isArray(value)) visit((value as Record<string, unknown>)[key], `${way}.${key}`);
    }
  }
  return found;
}

it('a leader forgets topics, groups and clients that are gone', async () => {
  const world = await new ComingAndGoing().start();
  const { broker } = world;
  const rounds = async (from: number, to: number): Promise<Map<string, number>> => {
    for (let round = from; round < to; round += 1) await world.live(String(round));
    // Whoever might still be there is forgotten after a few minutes, and what is theirs a minute later.
    for (let left = 6; left > 0; left -= 1) {
      world.clock.advance(minute);
      await world.pass(1);
    }
    return entriesBelow(broker);
  };
  const few = await rounds(0, 3);
  const more = await rounds(3, 9);
  const grown = [...more]
    .map(([way, size]): [string, number] => [way, size - (few.get(way) ?? 0)])
    .filter(([way, growth]) => growth >= 6 && !remembered.some((part) => way.includes(part)));
  expect(grown).toEqual([]);
  await world.broker.stop();
}, 60_000);

/** What is kept of what is gone, on purpose and within bounds. */
const remembered = [
  '.gone', // Ten thousand topics and groups that were deleted: of them, metadata that was set back may not tell.
  '.decided.places', // What became of the latest transactions.
  '.filters.ofGroups', // Ten thousand, then all are made anew.
  '.checkpoints.opened.store.pieces', // Of what is above.
];

// Else a message that only this member wants would be passed over for the group.
it('what a member wants of a topic that this broker has not heard of yet is kept', async () => {
  const world = await new BrokerWorld().start();
  const { broker, group, topic } = world;
  const [gone, coming] = [await world.nameService.createTopic({ name: 'gone' }), topicId(topic.id + 100)];
  for (const id of [gone.id, coming]) broker.sessions.polled(group.id, 'c', id, everything, world.clock.monotonicMs());
  await world.nameService.deleteTopic('gone');
  world.clock.advance(minute);
  expect(broker.sessions.topicsOf(group.id)).toEqual([coming]);
  await world.broker.stop();
});
