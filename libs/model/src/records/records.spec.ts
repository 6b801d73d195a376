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
import {
  decodePendingTransfer,
  eachPendingReleased,
  encodePendingTransfer,
  encodePendingTransferDone,
  pendingTransferOver,
  placesBehind,
  type EarlierPlace,
  type PendingTransfer,
} from './pending-transfer.js';
import { deadLetterCause, decodeReference, encodeReference, referenceTarget, type Reference } from './reference.js';
import { decodeTopicDeleted, encodeTopicDeleted } from './topic-deleted.js';
import {
  decodeTransfer,
  decodeTransferDone,
  decodeTransferMark,
  encodeTransfer,
  encodeTransferDone,
  encodeTransferMark,
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
    };
    expect(decodeTransfer(elsewhere(encodeTransfer(record)))).toEqual(record);
    const plain = { ...record, instead: undefined, queues: [] };
    expect(decodeTransfer(elsewhere(encodeTransfer(plain)))).toEqual(plain);
    expect(decodeTransferDone(elsewhere(encodeTransferDone(logPosition(large))))).toBe(large);
  });

  it('a transfer of pending messages', () => {
    const message = { position: logPosition(large), size: 5, topicId: topicId(2 ** 32 - 1), queueId: queueId(65_536) };
    const hashes = { tagHash: 0xfedcba98, groupHash: 0xffffffff };
    const half = { storedMs: large, checks: 15, lastCheckMs: large, nextCheckMs: 1, parked: true };
    const record: PendingTransfer = {
      to: 'broker-ü',
      instead: logPosition(0),
      messages: [
        { ...message, ...hashes, dueMs: large, half: undefined },
        { ...message, ...hashes, dueMs: 0, half },
        { ...message, tagHash: 0, groupHash: 0, dueMs: 1, half: undefined },
      ],
    };
    expect(decodePendingTransfer(elsewhere(encodePendingTransfer(record)))).toEqual(record);
    const plain = { to: '', instead: undefined, messages: [] };
    expect(decodePendingTransfer(elsewhere(encodePendingTransfer(plain)))).toEqual(plain);
    const done = elsewhere(encodePendingTransferDone(logPosition(large), record.messages));
    expect(pendingTransferOver(done)).toBe(large);
    const released: unknown[] = [];
    eachPendingReleased(done, (position, size, id) => released.push({ position, size, topicId: id }));
    expect(released).toEqual(
      record.messages.map(({ position, size, topicId: id }) => ({ position, size, topicId: id })),
    );
  });

  it('what a pending message was in the sets before', () => {
    const mark = { from: 'broker-ü', log: 0xffffffff, transfer: logPosition(large), index: 7, audience: everybody };
    const places = [
      { brokerSet: 'broker-2', position: logPosition(large), size: 9 },
      { brokerSet: 'broker-1', position: logPosition(0), size: 1 },
    ];
    const half = { checks: 3, lastCheckMs: large, nextCheckMs: 2, parked: false };
    for (const past of [
      { dueMs: large, storedMs: 1, half: undefined, places },
      { dueMs: 0, storedMs: large, half, places: [] },
    ]) {
      expect(decodeTransferMark(elsewhere(encodeTransferMark({ ...mark, past })))).toEqual({ ...mark, past });
    }
    const letter = { groupId: groupId(9), originTopicId: topicId(2 ** 32 - 1), cause: 2, attempts: 70_000 };
    expect(decodeTransferMark(elsewhere(encodeTransferMark({ ...mark, letter })))).toEqual({ ...mark, letter });
    const returned = { letterTopicId: topicId(8), letterOffset: queueOffset(2 ** 40), replayId: 'r', who: 'ada' };
    expect(decodeTransferMark(elsewhere(encodeTransferMark({ ...mark, returned })))).toEqual({ ...mark, returned });
    expect(decodeTransferMark(elsewhere(encodeTransferMark(mark)))).toEqual(mark);
  });

  it('of the places at which a pending message stood, the first and the newest are kept', () => {
    const place = (n: number): EarlierPlace => ({ brokerSet: `broker-${n}`, position: logPosition(n), size: n });
    let places: readonly EarlierPlace[] = [];
    for (let n = 0; n < 12; n += 1) places = placesBehind(places, place(n));
    expect(places).toEqual([0, 5, 6, 7, 8, 9, 10, 11].map(place));
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
