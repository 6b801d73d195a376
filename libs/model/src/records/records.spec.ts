/**
 * Payloads that several views fold. Goal: each entry is read as it was written, wherever the payload lies in memory, and
 * also when a later version has written more behind it.
 */
import { groupName, topicName } from '../names.js';
import type { ConsumerGroup, Topic } from '../topic.js';
import { groupId, logPosition, queueId, queueOffset, topicId } from '../units.js';
import {
  decodeDeadLettersReplayed,
  encodeDeadLettersReplayed,
  type DeadLettersReplayed,
} from './dead-letters-replayed.js';
import { encodeDropped, eachDropped, type Dropped } from './dropped.js';
import { eachExpired, encodeExpiry, type Expired } from './expiry.js';
import { eachLiteQueueGone, encodeLiteQueuesGone, type LiteQueueGone } from './lite-queues-gone.js';
import { decodeMetadata, encodeMetadata, followsMetadata, type MetadataRecord } from './metadata.js';
import { deadLetterCause, decodeReference, encodeReference, referenceTarget, type Reference } from './reference.js';
import { decodeTopicDeleted, encodeTopicDeleted } from './topic-deleted.js';
import {
  decodeTransfer,
  decodeTransferDone,
  encodeTransfer,
  encodeTransferDone,
  everybody,
  type Transfer,
} from './transfer.js';

/** As it may stand in the log's memory: at an odd place, between other bytes. */
function elsewhere(payload: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(payload.length + 40, 0xa5);
  bytes.set(payload, 13);
  return bytes.subarray(13, 13 + payload.length + 20);
}

const large = 2 ** 40 + 7;
const topic: Topic = {
  name: topicName('orders'),
  id: topicId(7),
  type: 1,
  writeQueues: 8,
  readQueues: 8,
  permission: 'readWrite',
  typeFixed: true,
  layout: 3,
  createdMs: 5,
};
const group: ConsumerGroup = {
  name: groupName('readers'),
  id: groupId(9),
  fifo: false,
  attemptsMax: 17,
  retryPolicy: { kind: 'customized', nextMs: [1, 2] },
  start: { at: 'time', timeMs: 4 },
  createdMs: 6,
};

describe('records that several views fold', () => {
  it('expiry', () => {
    const list: Expired[] = [
      { topicId: topicId(1), queueId: queueId(2), first: 3, messages: 4, bytes: 5 },
      { topicId: topicId(6), queueId: queueId(7), first: large, messages: large + 1, bytes: large + 2 },
      { topicId: topicId(2 ** 32 - 1), queueId: queueId(2 ** 32 - 1), first: 0, messages: 0, bytes: 0 },
    ];
    const found: Expired[] = [];
    eachExpired(elsewhere(encodeExpiry(list)), (...[topic, queue, first, messages, bytes]) =>
      found.push({ topicId: topic, queueId: queue, first, messages, bytes }),
    );
    expect(found).toEqual(list);
  });

  it('deadLettersReplayed', () => {
    const letter = { letterOffset: large, topicId: topicId(6), queueId: queueId(7), offset: large + 1 };
    const about = { replayId: 'r', who: 'ada', groupId: groupId(9), letterTopicId: topicId(8) };
    const sent = { queueId: queueId(70_000), offset: large + 2 };
    for (const record of [
      { ...about, mode: 'toGroup', letters: [letter, { ...letter, letterOffset: 0 }] },
      { ...about, mode: 'toTopic', letters: [{ ...letter, sent }] },
      { ...about, mode: 'toGroup', letters: [] },
    ] as unknown as DeadLettersReplayed[]) {
      expect(decodeDeadLettersReplayed(elsewhere(encodeDeadLettersReplayed(record)))).toEqual(record);
    }
  });

  it('topicDeleted', () => {
    for (const id of [1, 2 ** 32 - 1]) expect(decodeTopicDeleted(elsewhere(encodeTopicDeleted(topicId(id))))).toBe(id);
  });

  it('liteTopicsDeleted', () => {
    const list: LiteQueueGone[] = [
      { topicId: topicId(1), queueId: queueId(65_536), messages: 2, bytes: 3 },
      { topicId: topicId(4), queueId: queueId(2 ** 32 - 1), messages: large, bytes: large + 1 },
    ];
    const found: LiteQueueGone[] = [];
    eachLiteQueueGone(elsewhere(encodeLiteQueuesGone(list)), (gone) => found.push(gone));
    expect(found).toEqual(list);
  });

  it('dropped', () => {
    const list: Dropped[] = [
      { position: logPosition(large), size: 1, topicId: topicId(2), dueMs: 3 },
      { position: logPosition(4), size: 5, topicId: topicId(6), dueMs: large },
    ];
    const found: Dropped[] = [];
    eachDropped(elsewhere(encodeDropped(list)), (...[position, size, topic, dueMs]) =>
      found.push({ position, size, topicId: topic, dueMs }),
    );
    expect(found).toEqual(list);
  });

  it('metadata', () => {
    const record: MetadataRecord = {
      version: { clusterId: 'c-ü', generation: 2, revision: large },
      topics: [{ ...topic, retentionMs: 60_000 }],
      groups: [group],
    };
    expect(decodeMetadata(elsewhere(encodeMetadata(record)))).toEqual(record);
  });

  it.each([
    ['the same', { revision: 5 }, true],
    ['a later revision', { revision: 6 }, true],
    ['an earlier revision', { revision: 4 }, false],
    ['an earlier revision of a later generation', { generation: 3, revision: 1 }, true],
    ['a later revision of an earlier generation', { generation: 1, revision: 9 }, false],
    ['another cluster', { clusterId: 'b', generation: 9, revision: 9 }, false],
  ])('metadata goes on from what was known: %s', (_what, change, follows) => {
    const known = { clusterId: 'a', generation: 2, revision: 5 };
    expect(followsMetadata({ ...known, ...change }, known)).toBe(follows);
    expect(followsMetadata({ ...known, ...change }, undefined)).toBe(true);
  });

  it('transfer', () => {
    const groups = [{ groupId: groupId(9), attempts: 70_000 }];
    const only = { only: true, groups };
    const message = { position: logPosition(large), size: 4, groupHash: 0xffffffff, audience: only };
    const record: Transfer = {
      to: 'broker-ü',
      instead: logPosition(0),
      queues: [
        {
          topicId: topicId(1),
          queueId: queueId(65_536),
          messages: [
            { ...message, offset: queueOffset(7) },
            { ...message, offset: queueOffset(large), groupHash: 0, audience: everybody },
          ],
        },
        { topicId: topicId(2 ** 32 - 1), queueId: queueId(0), messages: [{ ...message, offset: queueOffset(0) }] },
      ],
      delayed: [{ position: logPosition(large), size: 1, topicId: topicId(2), dueMs: large }],
    };
    expect(decodeTransfer(elsewhere(encodeTransfer(record)))).toEqual(record);
    const plain = { ...record, instead: undefined, queues: [], delayed: [] };
    expect(decodeTransfer(elsewhere(encodeTransfer(plain)))).toEqual(plain);
    expect(decodeTransferDone(elsewhere(encodeTransferDone(logPosition(large))))).toBe(large);
  });

  it('reference', () => {
    const reference: Reference = {
      target: { position: logPosition(large), size: 1 },
      reason: 1,
      groupId: groupId(3),
      originTopicId: topicId(4),
      cause: deadLetterCause.givenUp,
      attempts: 65_535,
    };
    expect(decodeReference(elsewhere(encodeReference(reference)))).toEqual(reference);
    expect(referenceTarget(elsewhere(encodeReference(reference)))).toBe(large);
  });
});
