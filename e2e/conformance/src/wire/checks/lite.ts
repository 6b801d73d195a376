import assert from 'node:assert/strict';

import { ClientType, LiteSubscriptionAction, OffsetOption_Policy, type OffsetOption } from '@cometmq/proto';
import { until } from '../../../../support/until.js';
import {
  ack,
  handleOf,
  is,
  message,
  poll,
  send,
  settle,
  take,
  textOf,
  topicOf,
  type Talk,
  type WireCheck,
} from '../talk.js';
import type { Wire } from '../wire.js';

const { PARTIAL_ADD, PARTIAL_REMOVE, COMPLETE_ADD } = LiteSubscriptionAction;

interface Lite {
  readonly topic: string;
  readonly group: string;
  sync(wire: Wire, action: LiteSubscriptionAction, names: readonly string[], from?: OffsetOption): Promise<number>;
  send(wire: Wire, liteTopic: string, bodies: readonly string[]): Promise<void>;
}

async function ready(talk: Talk, more: { exclusive?: boolean } = {}): Promise<Lite> {
  const topic = await talk.topic('lite');
  const group = await talk.group({ lite: { topic, ...more } });
  return {
    topic,
    group,
    sync: async (wire, action, liteTopicSet, offsetOption) => {
      const names = { topic: topicOf(topic), group: topicOf(group) };
      const answer = await wire.unary('syncLiteSubscription', { ...names, action, liteTopicSet, offsetOption });
      return answer.status?.code ?? 0;
    },
    send: async (wire, liteTopic, bodies) => {
      await send(
        wire,
        bodies.map((body) => message(topic, body, { liteTopic })),
      );
    },
  };
}

async function lites(wire: Wire, { topic, group }: Lite, count: number): Promise<string[]> {
  const came = await take(wire, group, topic, count);
  for (const held of came) is(await ack(wire, group, topic, handleOf(held)), 'OK'); // Without nameService the lite topic.
  return came.map(textOf);
}

export const lite: readonly WireCheck[] = [
  {
    title: 'lite: settings with quota and name size; other groups and topics are refused',
    core: true,
    async check(talk) {
      const { topic, group } = await ready(talk);
      const { first } = await settle(talk.wire(), { type: ClientType.LITE_PUSH_CONSUMER, group, topics: [topic] });
      is(first.status?.code, 'OK');
      assert(first.command?.$case === 'settings' && first.command.value.pubSub?.$case === 'subscription');
      const { liteSubscriptionQuota, maxLiteTopicSize } = first.command.value.pubSub.value;
      assert.deepEqual([liteSubscriptionQuota, maxLiteTopicSize], [2_000, 64]);
      const codeOf = async (type: ClientType, of: string, topics: readonly string[]): Promise<number | undefined> =>
        (await settle(talk.wire(), { type, group: of, topics })).first.status?.code;
      is(await codeOf(ClientType.LITE_SIMPLE_CONSUMER, group, [topic]), 'OK');
      const plain = await talk.group({}, 'plain');
      is(await codeOf(ClientType.LITE_PUSH_CONSUMER, plain, [topic]), 'ILLEGAL_CONSUMER_GROUP');
      is(await codeOf(ClientType.PUSH_CONSUMER, group, [topic]), 'ILLEGAL_CONSUMER_GROUP');
      const elsewhere = await talk.topic('lite', 'elsewhere');
      is(await codeOf(ClientType.LITE_PUSH_CONSUMER, group, [elsewhere]), 'ILLEGAL_TOPIC');
    },
  },
  {
    title: 'lite: a complete set, also an empty one, takes the place of what was subscribed',
    core: true,
    async check(talk) {
      const lite = await ready(talk);
      const wire = talk.wire();
      is(await lite.sync(wire, COMPLETE_ADD, []), 'OK');
      is(await lite.sync(wire, PARTIAL_ADD, ['one']), 'OK');
      is(await lite.sync(wire, COMPLETE_ADD, ['two', 'three']), 'OK');
      is(await lite.sync(wire, PARTIAL_REMOVE, ['three']), 'OK');
      for (const name of ['one', 'two', 'three']) await lite.send(talk.wire(talk.other), name, [`in ${name}`]);
      assert.deepEqual(await lites(wire, lite, 1), ['in two']);
      is((await poll(wire, lite.group, lite.topic)).status.code, 'MESSAGE_NOT_FOUND');
    },
  },
  {
    title: 'lite: where a subscription begins: all that is kept, the end, an offset, a time',
    core: true,
    async check(talk) {
      const lite = await ready(talk);
      const wire = talk.wire();
      const names = ['kept', 'end', 'first', 'offset', 'time'];
      for (const name of names)
        await lite.send(
          wire,
          name,
          ['0', '1', '2'].map((i) => `${name}${i}`),
        );
      const begin = async (name: string, offsetType?: OffsetOption['offsetType']): Promise<void> =>
        is(await lite.sync(wire, PARTIAL_ADD, [name], offsetType && { offsetType }), 'OK');
      await begin('kept');
      await begin('end', { $case: 'policy', value: OffsetOption_Policy.MAX });
      await begin('first', { $case: 'policy', value: OffsetOption_Policy.MIN });
      await begin('offset', { $case: 'offset', value: 2 });
      await begin('time', { $case: 'timestamp', value: Date.now() - 3_600_000 });
      await lite.send(wire, 'end', ['end3']);
      const came = await lites(wire, lite, 3 + 1 + 3 + 1 + 3);
      const all = ['kept', 'first', 'time'].flatMap((name) => ['0', '1', '2'].map((i) => `${name}${i}`));
      assert.deepEqual([...came].sort(), [...all, 'end3', 'offset2'].sort());
    },
  },
  {
    title: 'lite: order within a lite topic, one batch at a time',
    core: true,
    async check(talk) {
      const lite = await ready(talk);
      const wire = talk.wire();
      is(await lite.sync(wire, PARTIAL_ADD, ['one']), 'OK');
      await lite.send(wire, 'one', ['a', 'b', 'c']);
      const [held] = await take(wire, lite.group, lite.topic, 1, { batchSize: 1 });
      assert(held);
      assert.equal(textOf(held), 'a');
      assert.equal(held.systemProperties?.liteTopic, 'one');
      is((await poll(wire, lite.group, lite.topic)).status.code, 'MESSAGE_NOT_FOUND');
      is(await ack(wire, lite.group, lite.topic, handleOf(held)), 'OK');
      assert.deepEqual(await lites(wire, lite, 2), ['b', 'c']);
    },
  },
  {
    title: 'lite: who takes over an exclusive lite topic evicts the one before, who is told',
    core: true,
    async check(talk) {
      const lite = await ready(talk, { exclusive: true });
      const said = { type: ClientType.LITE_PUSH_CONSUMER, group: lite.group, topics: [lite.topic] };
      const [before, after] = [talk.wire(), talk.wire(talk.other)];
      const { telemetry } = await settle(before, said);
      is(await lite.sync(before, PARTIAL_ADD, ['one']), 'OK');
      await settle(after, said);
      is(await lite.sync(after, PARTIAL_ADD, ['one']), 'OK');
      const told = await until('the notice', () =>
        telemetry.commands.find(({ command }) => command?.$case === 'notifyUnsubscribeLiteCommand'),
      );
      assert(told.command?.$case === 'notifyUnsubscribeLiteCommand');
      assert.equal(told.command.value.liteTopic, 'one');
      await lite.send(talk.wire(), 'one', ['for the newer']);
      assert.deepEqual(await lites(after, lite, 1), ['for the newer']);
      is((await poll(before, lite.group, lite.topic)).status.code, 'MESSAGE_NOT_FOUND');
    },
  },
  {
    title: 'lite: names and types that are refused',
    core: true,
    async check(talk) {
      const lite = await ready(talk);
      const wire = talk.wire();
      for (const name of ['', 'no good!', 'x'.repeat(65)]) {
        is(await lite.sync(wire, PARTIAL_ADD, [name]), 'ILLEGAL_LITE_TOPIC');
      }
      const code = async (topic: string, liteTopic?: string): Promise<number | undefined> =>
        (await wire.unary('sendMessage', { messages: [message(topic, 'x', { liteTopic })] })).status?.code;
      is(await code(lite.topic, 'no good!'), 'ILLEGAL_LITE_TOPIC');
      is(await code(lite.topic), 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE');
      is(await code(await talk.topic('normal', 'normal'), 'one'), 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE');
    },
  },
];
