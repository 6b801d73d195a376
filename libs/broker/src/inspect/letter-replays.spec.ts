// Goal: each letter that was replayed is known to be, by its last time, however many replays there were since and however few
// places may be kept. Method: replays by chance, noted by the index as in a log, beside a map that remembers all of them.
import {
  encodeDeadLettersReplayed,
  RecordKind,
  type GroupId,
  type LogPosition,
  type QueueOffset,
  type ReplayedLetter,
  type TopicId,
} from '@cometmq/model';
import { Pacing, Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';
import type { Candidate, LogRecord } from '@cometmq/store';

import { DecisionEntries } from './decision-entries.js';
import { LetterReplays } from './letter-replays.js';

const groupId = 3 as GroupId;
const letterTopicId = 7 as TopicId;
const recordBytes = 100;

class Log {
  readonly records: LogRecord[] = [];
  readonly entries = new DecisionEntries(0 as LogPosition);

  replay(letters: readonly number[], of: { readonly topic?: number; readonly group?: number } = {}): void {
    const payload = encodeDeadLettersReplayed({
      ...{ mode: 'toGroup', replayId: `r${this.records.length}`, who: 'ada' },
      ...{ groupId: (of.group ?? groupId) as GroupId, letterTopicId: (of.topic ?? letterTopicId) as TopicId },
      letters: letters.map(
        (letterOffset) => ({ letterOffset, topicId: 1, queueId: 0, offset: letterOffset }) as ReplayedLetter,
      ),
    });
    const at = this.records.length;
    const record = {
      ...{ kind: RecordKind.deadLettersReplayed, payload: Buffer.from(payload), position: at * recordBytes },
      ...{ size: recordBytes, timestampMs: at },
    } as unknown as LogRecord;
    this.records.push(record);
    this.entries.note(record);
  }

  /** How often each of them was last replayed: letter → time. */
  async last(first: number, last: number, placesMax?: number): Promise<Map<number, number>> {
    const store = {
      readRecords: async (places: readonly Candidate[]) =>
        places.map(({ position }) => this.records[position / recordBytes] as LogRecord),
    };
    const index = {
      follow: async () => undefined,
      find: async (
        asked: { topic: number; queue: number; offset: number; last?: number; after: number },
        each: (position: LogPosition, size: number) => void,
      ) => this.entries.find(asked.topic, asked.queue, asked.offset, asked.last ?? asked.offset, asked.after, each),
    };
    const replays = new LetterReplays(store, index, new Pacing(new ManualClock()), placesMax);
    const asked = { groupId, letterTopicId, first: first as QueueOffset, last: last as QueueOffset };
    const found = new Map<number, number>();
    for (const { atMs, letters } of await replays.of({ ...asked, after: 0 as LogPosition })) {
      for (const letter of letters) {
        expect(found.has(letter)).toBe(false);
        found.set(letter, atMs);
      }
    }
    return found;
  }
}

it('knows of a replay behind which there are more than ten thousand others', async () => {
  const log = new Log();
  log.replay([5]);
  for (let i = 0; i < 10_500; i += 1) log.replay([100 + i]);
  expect(await log.last(0, 9)).toEqual(new Map([[5, 0]]));
});

it('takes no letter of another group, or of a topic that was deleted, for one of these', async () => {
  const log = new Log();
  log.replay([1], { topic: 6 });
  log.replay([2], { group: 4 });
  log.replay([3]);
  expect([...(await log.last(0, 9)).keys()]).toEqual([3]);
});

it.each(seeds(30))('finds what a map remembers (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const log = new Log();
  const truth = new Map<number, number>();
  for (let at = 0; at < 200; at += 1) {
    const letters = [...new Set(Array.from({ length: 1 + chance.below(5) }, () => chance.below(40)))];
    log.replay(letters);
    for (const letter of letters) truth.set(letter, at);
  }
  for (const placesMax of [4, 32, undefined]) {
    const first = chance.below(40);
    const last = first + chance.below(10);
    const expected = [...truth].filter(([letter]) => letter >= first && letter <= last);
    const found = await log.last(first, last, placesMax);
    expect([...found].sort(([a], [b]) => a - b)).toEqual(expected.sort(([a], [b]) => a - b));
  }
});
