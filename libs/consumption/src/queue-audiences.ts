import { nobody, putAudience, takeAudience, type Audience, type GroupId } from '@cometmq/model';
import { assert, ByteReader, type ByteWriter } from '@cometmq/shared';

import type { AudienceSource } from './ports.js';

/** Offsets in one piece of what is saved. */
const pieceOffsets = 65_536;
const layout = 1;

/** Runs of consecutive offsets with one audience, ascending. */
interface Piece {
  readonly number: number;
  readonly starts: number[];
  readonly counts: number[];
  readonly audiences: Audience[];
}

/**
 * The messages of one queue that are not simply for everybody: those that came from another broker set, where some groups
 * were done with them, and those that are on their way to another one. Kept as runs, as they come in batches.
 *
 *   <piece>  | 1 | runs | (start, signed step | count | audience) × runs |     of 65,536 offsets
 */
export class QueueAudiences implements AudienceSource {
  private readonly pieces = new Map<number, Piece>();

  /** `same`: an audience that equals this one has one object, so that runs grow. */
  constructor(private readonly same: (audience: Audience) => Audience) {}

  get isEmpty(): boolean {
    return this.pieces.size === 0;
  }

  isFor(groupId: GroupId, offset: number): boolean {
    const audience = this.at(offset);
    return audience === undefined || isAmong(audience, groupId);
  }

  attemptsOf(groupId: GroupId, offset: number): number {
    for (const group of this.at(offset)?.groups ?? []) if (group.groupId === groupId) return group.attempts;
    return 0;
  }

  countNotFor(groupId: GroupId, from: number, to: number): number {
    let sum = 0;
    this.each(from, to, (start, end, audience) => {
      if (!isAmong(audience, groupId)) sum += end - start;
    });
    return sum;
  }

  /** Of the messages [from, to), how many are on their way to another set. */
  countAway(from: number, to: number): number {
    let sum = 0;
    this.each(from, to, (start, end, audience) => {
      if (isNobody(audience)) sum += end - start;
    });
    return sum;
  }

  /** Undefined: it is for whoever comes. */
  at(offset: number): Audience | undefined {
    const piece = this.pieces.get(Math.floor(offset / pieceOffsets));
    if (!piece) return undefined;
    const run = lastFrom(piece, offset);
    if (run < 0) return undefined;
    return offset < (piece.starts[run] as number) + (piece.counts[run] as number) ? piece.audiences[run] : undefined;
  }

  /** The message has this audience from now on. Answers the piece that changed. */
  set(offset: number, given: Audience): number {
    const audience = this.same(given);
    const number = Math.floor(offset / pieceOffsets);
    let piece = this.pieces.get(number);
    if (!piece) {
      piece = { number, starts: [], counts: [], audiences: [] };
      this.pieces.set(number, piece);
    }
    put(piece, offset, audience);
    return number;
  }

  /** Messages below are gone. Answers the pieces that changed. */
  expire(first: number): number[] {
    const changed: number[] = [];
    for (const piece of this.pieces.values()) {
      const { number, starts, counts, audiences } = piece;
      let below = 0;
      while (below < starts.length && (starts[below] as number) + (counts[below] as number) <= first) below += 1;
      const start = starts[below];
      const isCut = start !== undefined && start < first;
      if (below === 0 && !isCut) continue;
      if (isCut) {
        counts[below] = start + (counts[below] as number) - first;
        starts[below] = first;
      }
      for (const column of [starts, counts, audiences]) column.splice(0, below);
      if (starts.length === 0) this.pieces.delete(number);
      changed.push(number);
    }
    return changed;
  }

  numbers(): Iterable<number> {
    return this.pieces.keys();
  }

  /** Undefined: there is nothing any more. */
  encode(number: number, out: ByteWriter): Uint8Array | undefined {
    const piece = this.pieces.get(number);
    if (!piece) return undefined;
    out.begin();
    out.u8(layout);
    out.whole(piece.starts.length);
    let at = number * pieceOffsets;
    for (let run = 0; run < piece.starts.length; run += 1) {
      const [start, count] = [piece.starts[run] as number, piece.counts[run] as number];
      out.signed(start - at);
      out.whole(count);
      putAudience(out, piece.audiences[run] as Audience);
      at = start + count;
    }
    return out.taken();
  }

  load(number: number, bytes: Uint8Array): void {
    const from = new ByteReader(bytes);
    assert(from.u8() === layout, 'a piece of audiences has a layout this version knows');
    const piece: Piece = { number, starts: [], counts: [], audiences: [] };
    let at = number * pieceOffsets;
    for (let left = from.whole(); left > 0; left -= 1) {
      const start = at + from.signed();
      const count = from.whole();
      piece.starts.push(start);
      piece.counts.push(count);
      piece.audiences.push(this.same(takeAudience(from)));
      at = start + count;
    }
    this.pieces.set(number, piece);
  }

  /** For tests and comparisons. */
  describe(): string[] {
    const lines: string[] = [];
    for (const number of [...this.pieces.keys()].sort((a, b) => a - b)) {
      const { starts, counts, audiences } = this.pieces.get(number) as Piece;
      for (let run = 0; run < starts.length; run += 1) {
        lines.push(`${starts[run]}+${counts[run]} ${audienceText(audiences[run] as Audience)}`);
      }
    }
    return lines;
  }

  private each(from: number, to: number, act: (start: number, end: number, audience: Audience) => void): void {
    for (const { number, starts, counts, audiences } of this.pieces.values()) {
      if ((number + 1) * pieceOffsets <= from || number * pieceOffsets >= to) continue;
      for (let run = 0; run < starts.length; run += 1) {
        const start = Math.max(from, starts[run] as number);
        const end = Math.min(to, (starts[run] as number) + (counts[run] as number));
        if (end > start) act(start, end, audiences[run] as Audience);
      }
    }
  }
}

export function audienceText({ only, groups }: Audience): string {
  const named = groups.map(({ groupId, attempts }) => (attempts === 0 ? `${groupId}` : `${groupId}:${attempts}`));
  return only ? `only ${named.join(',') || 'nobody'}` : `all ${named.join(',')}`.trimEnd();
}

function isAmong({ only, groups }: Audience, groupId: GroupId): boolean {
  return !only || groups.some((group) => group.groupId === groupId);
}

function isNobody({ only, groups }: Audience): boolean {
  return only && groups.length === nobody.groups.length;
}

/** The last run that begins at or before the offset; -1: none. */
function lastFrom({ starts }: Piece, offset: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] as number) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function put(piece: Piece, offset: number, audience: Audience): void {
  const { starts, counts, audiences } = piece;
  let run = lastFrom(piece, offset);
  const end = run < 0 ? -1 : (starts[run] as number) + (counts[run] as number);
  if (run >= 0 && offset < end) {
    if (audiences[run] === audience) return;
    cut(piece, run, offset);
    run = lastFrom(piece, offset);
  }
  const follows = run >= 0 && (starts[run] as number) + (counts[run] as number) === offset;
  if (follows && audiences[run] === audience) counts[run] = (counts[run] as number) + 1;
  else {
    run += 1;
    starts.splice(run, 0, offset);
    counts.splice(run, 0, 1);
    audiences.splice(run, 0, audience);
  }
  // It may close the gap to the next one.
  if (audiences[run + 1] !== audience || starts[run + 1] !== offset + 1) return;
  counts[run] = (counts[run] as number) + (counts[run + 1] as number);
  for (const column of [starts, counts, audiences]) column.splice(run + 1, 1);
}

/** Takes one offset out of a run. */
function cut({ starts, counts, audiences }: Piece, run: number, offset: number): void {
  const start = starts[run] as number;
  const end = start + (counts[run] as number);
  const audience = audiences[run] as Audience;
  const parts = [
    [start, offset - start],
    [offset + 1, end - offset - 1],
  ].filter(([, count]) => (count as number) > 0);
  starts.splice(run, 1, ...parts.map(([from]) => from as number));
  counts.splice(run, 1, ...parts.map(([, count]) => count as number));
  audiences.splice(run, 1, ...parts.map(() => audience));
}
