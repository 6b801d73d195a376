import {
  encodeEnvelope,
  epoch,
  logPosition,
  MessageType,
  queueId,
  queueOffset,
  RecordKind,
  topicId,
  type TopicId,
} from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';
import type { LogRecord } from '@cometmq/store';

import { DedupWindow, type DedupWindowLimits } from './dedup-window.js';

const limits: DedupWindowLimits = { keepMs: 1000, generationMs: 100, generationEntriesMax: 3000, generationsMax: 6 };

const envelopeOf = (id: string): Buffer =>
  encodeEnvelope({
    type: MessageType.fifo,
    tag: Buffer.alloc(0),
    id: Buffer.from(id),
    group: Buffer.from('g'),
    keys: [],
  });

const body = Buffer.from('\x22\x04body'); // The field of the body.

const recordOf = (id: string, topic: number, position: number, timestampMs: number, groupHash = 7): LogRecord => ({
  kind: RecordKind.message,
  position: logPosition(position),
  size: 100 + (position % 50),
  epoch: epoch(1),
  timestampMs,
  commitKnown: logPosition(0),
  payload: Buffer.concat([envelopeOf(id), body]),
  topicId: topicId(topic),
  queueId: queueId(0),
  queueOffset: queueOffset(0),
  tagHash: 0,
  groupHash,
});

it('shows only messages that have a group', () => {
  const view = new DedupWindow();
  view.fold(recordOf('1', 1, 100, 5, 0));
  expect(view.count).toBe(0);
});

// Goal: what was sent within the time is found, by what is in memory and by what a checkpoint and the rest of the log
// say; what is found was sent. Method: messages by chance against a plain list.
it.each(seeds(20))('finds what was sent, after any checkpoint, and stays within its bounds (seed %i)', (seed) => {
  const chance = new Prng(seed);
  let view = new DedupWindow(limits);
  const saved = new Map<string, Uint8Array>();
  const sent: LogRecord[] = [];
  const ids: string[] = [];
  let savedCount = 0;
  let nowMs = 1_000_000;
  for (let step = 0; step < 40; step += 1) {
    for (let i = chance.below(800); i > 0; i -= 1) {
      nowMs += chance.below(20) === 0 ? 1 : 0;
      const id = `id-${chance.below(20_000)}`;
      const record = recordOf(id, 1 + chance.below(2), 1000 * (sent.length + 1), nowMs);
      sent.push(record);
      ids.push(id);
      view.fold(record);
    }
    if (chance.below(3) === 0) nowMs += chance.below(300);
    if (chance.below(3) === 0) {
      for (const { key, value } of view.takeChanges()) {
        if (value) saved.set(key, value);
        else saved.delete(key);
      }
      savedCount = sent.length;
    }
    if (chance.below(3) === 0) {
      view = new DedupWindow(limits);
      for (const [key, value] of [...saved].reverse()) view.load(key, value);
      for (const record of sent.slice(savedCount)) view.fold(record);
    }
    expect(view.count).toBeLessThanOrEqual(limits.generationEntriesMax * limits.generationsMax);
    const last = sent.at(-1);
    if (!last) continue;
    const mustFrom = sent.length - limits.generationEntriesMax * (limits.generationsMax - 1);
    for (let i = 0; i < 100; i += 1) {
      const at = chance.below(sent.length);
      const record = sent[at] as LogRecord;
      const found = view.find(record.topicId, envelopeOf(ids[at] as string), [body]);
      for (const { position, size } of found) {
        const there = sent[position / 1000 - 1];
        expect([ids[position / 1000 - 1], there?.topicId, there?.size]).toEqual([ids[at], record.topicId, size]);
      }
      const young = last.timestampMs - record.timestampMs <= 300; // No six generations have begun since.
      if (young && at >= mustFrom) expect(found.map(({ position }) => position)).toContain(record.position);
    }
    expect(view.find(9 as TopicId, envelopeOf('id-1'), [body])).toEqual([]);
  }
});

it('keeps ten minutes, by the time of the records', () => {
  const view = new DedupWindow();
  view.fold(recordOf('1', 1, 1000, 0));
  view.fold(recordOf('2', 1, 2000, 60_000));
  view.fold(recordOf('3', 1, 3000, 600_000));
  expect(view.find(1 as TopicId, envelopeOf('1'), [body])).toHaveLength(1);
  view.fold(recordOf('4', 1, 4000, 600_001));
  expect(view.find(1 as TopicId, envelopeOf('1'), [body])).toEqual([]);
  expect(view.find(1 as TopicId, envelopeOf('2'), [body])).toHaveLength(1);
});
