/**
 * Which dead letters were replayed, by the log: asked of some letters at a time, as there may be any number of replays, and
 * all of them count, however long ago.
 */
import type { LetterReplay, LettersAsked } from '@cometmq/client';
import { decodeDeadLettersReplayed, Envelope, RecordKind, type QueueOffset } from '@cometmq/model';
import { MqError, type Pacing } from '@cometmq/shared';
import type { Candidate, LogRecord, StorePorts } from '@cometmq/store';

import type { DecisionIndex } from './decision-index.js';

/** Records that are read at once: at most so many, and of so many bytes; one is read in any case. */
const sliceRecords = 64;
const sliceBytes = 4 * 1024 * 1024;
/** Places of records that are kept in memory; of more letters than that, half are asked of at a time. */
const placesMaxUsual = 65_536;

export class LetterReplays {
  constructor(
    private readonly store: Pick<StorePorts, 'readRecords'>,
    private readonly index: Pick<DecisionIndex, 'follow' | 'find'>,
    private readonly pacing: Pacing,
    private readonly placesMax = placesMaxUsual,
  ) {}

  /** Of each letter the last time, oldest first. */
  async of(asked: LettersAsked): Promise<LetterReplay[]> {
    await this.index.follow();
    const found = await this.lastOf(asked);
    return found.sort((a, b) => a.atMs - b.atMs);
  }

  private async lastOf(asked: LettersAsked): Promise<LetterReplay[]> {
    const { first, last } = asked;
    const places = await this.places(asked);
    if (places.length > this.placesMax && first < last) {
      const middle = (first + Math.floor((last - first) / 2)) as QueueOffset;
      const lower = await this.lastOf({ ...asked, last: middle });
      return [...lower, ...(await this.lastOf({ ...asked, first: (middle + 1) as QueueOffset }))];
    }
    const known = new Set<QueueOffset>();
    const found: LetterReplay[] = [];
    const wanted = last - first + 1;
    const pace = this.pacing.begin();
    // The newest first: what is found once is the last time.
    for (let end = places.length, begin; end > 0 && known.size < wanted; end = begin) {
      begin = sliceBefore(places, end);
      const slice = places.slice(begin, end);
      for (const record of (await pace.during(this.store.readRecords(slice))).toReversed()) {
        if (pace.isOver) await pace.rest();
        if (record instanceof MqError) continue;
        const replay = replayOf(record);
        if (replay?.letterTopicId !== asked.letterTopicId || replay.groupId !== asked.groupId) continue;
        const letters = replay.letters.filter(isNew);
        if (letters.length === 0) continue;
        for (const letter of letters) known.add(letter);
        const { replayId, who, mode } = replay;
        found.push({ atMs: record.timestampMs, replayId, who, mode, letters });
      }
    }
    return found;

    function isNew(letter: QueueOffset): boolean {
      return letter >= first && letter <= last && !known.has(letter);
    }
  }

  /** In the order of the log; of one letter alone the newest. */
  private async places({ letterTopicId: topic, first: offset, last, after }: LettersAsked): Promise<Candidate[]> {
    let places: Candidate[] = [];
    let known = -1;
    await this.index.find({ topic, queue: 0, offset, last, after }, (position, size) => {
      if (position === known) return; // One record names many letters.
      known = position;
      if (places.length > this.placesMax) {
        if (offset < last) return; // It is asked again, of fewer letters.
        places = places.slice(-this.placesMax / 2);
      }
      places.push({ position, size });
    });
    return places;
  }
}

/** What the record says of dead letters that were replayed; undefined: nothing. */
function replayOf({ kind, payload }: LogRecord) {
  if (kind === RecordKind.deadLettersReplayed) {
    const { letters, ...replay } = decodeDeadLettersReplayed(payload);
    return { ...replay, letters: letters.map(({ letterOffset }) => letterOffset) };
  }
  const mark = kind === RecordKind.returnedLetter ? new Envelope(payload).transferMark : undefined;
  const [group] = mark?.audience.groups ?? [];
  if (!group || !mark?.returned) return undefined;
  const { letterTopicId, letterOffset, replayId, who } = mark.returned;
  return {
    ...{ replayId, who, letterTopicId },
    mode: 'toGroup' as const,
    groupId: group.groupId,
    letters: [letterOffset],
  };
}

/** Where a slice begins that ends before `end`. */
function sliceBefore(places: readonly Candidate[], end: number): number {
  let begin = end - 1;
  for (let bytes = places[begin]?.size ?? 0; begin > Math.max(0, end - sliceRecords); begin -= 1) {
    bytes += places[begin - 1]?.size ?? 0;
    if (bytes > sliceBytes) break;
  }
  return begin;
}
