import assert from 'node:assert/strict';

import { FilterType, QueryOffsetPolicy, type MessageQueue } from '@cometmq/proto';
import { durationOf, timestampOf } from '../messages.js';
import { is, message, queuesOf, send, textOf, topicOf, type Talk, type WireCheck } from '../talk.js';
import type { Wire } from '../wire.js';

const { BEGINNING, END, TIMESTAMP } = QueryOffsetPolicy;

/** A queue with five messages, all of one message group, as only these surely share a queue. */
async function ready(talk: Talk): Promise<{ wire: Wire; group: string; queue: MessageQueue }> {
  const topic = await talk.topic('fifo');
  const wire = talk.wire();
  const five = Array.from({ length: 5 }, (_, i) =>
    message(topic, `p${i}`, { messageGroup: 'g', tag: i % 2 ? 'odd' : 'even' }),
  );
  await send(wire, five);
  for (const queue of await queuesOf(wire, topic)) {
    if ((await offsetOf(wire, queue, END)) === 5) return { wire, group: await talk.group(), queue };
  }
  throw new Error('no queue has five messages');
}

async function offsetOf(
  wire: Wire,
  messageQueue: MessageQueue,
  queryOffsetPolicy: QueryOffsetPolicy,
  atMs?: number,
): Promise<number> {
  const timestamp = atMs === undefined ? undefined : timestampOf(atMs);
  return (await wire.ok('queryOffset', { messageQueue, queryOffsetPolicy, timestamp })).offset;
}

export const pulls: readonly WireCheck[] = [
  {
    title: 'pull from an offset, by a filter, at the end, and beyond',
    core: true,
    async check(talk) {
      const { wire, group, queue } = await ready(talk);
      const pull = (offset: number, expression = '*'): ReturnType<Wire['pull']> =>
        wire.pull({
          group: topicOf(group),
          messageQueue: queue,
          offset,
          batchSize: 3,
          filterExpression: { type: FilterType.TAG, expression },
          longPollingTimeout: durationOf(500),
        });
      const first = await pull(0);
      is(first.status.code, 'OK');
      assert.deepEqual(first.messages.map(textOf), ['p0', 'p1', 'p2']);
      assert.equal(first.nextOffset, 3);
      const odd = await pull(0, 'odd');
      assert.deepEqual(odd.messages.map(textOf), ['p1', 'p3']);
      const end = await pull(5);
      is(end.status.code, 'MESSAGE_NOT_FOUND');
      assert.equal(end.nextOffset, 5);
      const beyond = await pull(99);
      is(beyond.status.code, 'ILLEGAL_OFFSET');
      assert.equal(beyond.nextOffset, 5);
      // Nothing was leased.
      assert.deepEqual((await pull(0)).messages.map(textOf), ['p0', 'p1', 'p2']);
    },
  },
  {
    title: 'offsets: beginning, end, at a time; one kept for the group',
    core: true,
    async check(talk) {
      const { wire, group, queue } = await ready(talk);
      assert.equal(await offsetOf(wire, queue, BEGINNING), 0);
      assert.equal(await offsetOf(wire, queue, END), 5);
      assert.equal(await offsetOf(wire, queue, TIMESTAMP, Date.now() - 3_600_000), 0);
      assert.equal(await offsetOf(wire, queue, TIMESTAMP, Date.now() + 3_600_000), 5);
      const timeless = await wire.unary('queryOffset', { messageQueue: queue, queryOffsetPolicy: TIMESTAMP });
      is(timeless.status?.code, 'BAD_REQUEST');
      const names = { group: topicOf(group), messageQueue: queue };
      is((await wire.unary('getOffset', names)).status?.code, 'OFFSET_NOT_FOUND');
      is((await wire.unary('updateOffset', { ...names, offset: -1 })).status?.code, 'ILLEGAL_OFFSET');
      is((await wire.unary('updateOffset', { ...names, offset: 3 })).status?.code, 'OK');
      const kept = await talk.wire(talk.other).ok('getOffset', names);
      assert.equal(kept.offset, 3);
    },
  },
];
