/**
 * Several files of pieces, and pieces in memory, as one run in the order of keys: of a key that several have, the
 * newest counts. The merge owns no I/O: it asks for the block it wants next, so that the same code reads at once at the
 * start and a block at a time, in turn with everything else, while the broker works.
 */
import { BlockCursor } from './piece-file.js';
import type { Piece, PieceFile } from './piece-file.js';

export interface KeyRange {
  readonly from?: string | undefined;
  /** Not included. */
  readonly until?: string | undefined;
}

abstract class Source {
  key = '';
  value: Uint8Array | undefined;
  done = false;

  /** To the next piece, or `done`; false: a block has to be loaded first. */
  abstract advance(): boolean;
}

export class MemorySource extends Source {
  private at = 0;

  constructor(private readonly pieces: readonly Piece[]) {
    super();
  }

  advance(): boolean {
    const piece = this.pieces[this.at++];
    this.done = piece === undefined;
    this.key = piece?.key ?? '';
    this.value = piece?.value;
    return true;
  }
}

export class FileSource extends Source {
  private number: number;
  private cursor: BlockCursor | undefined;

  constructor(
    private readonly file: PieceFile,
    private readonly range: KeyRange = {},
  ) {
    super();
    this.number = range.from === undefined ? 0 : Math.max(0, file.blockOf(range.from));
  }

  advance(): boolean {
    const { from, until } = this.range;
    for (;;) {
      if (!this.cursor) {
        if (this.number < this.file.blockCount) return false;
        this.done = true;
        return true;
      }
      while (this.cursor.next()) {
        if (from !== undefined && this.cursor.key < from) continue;
        this.key = this.cursor.key;
        this.value = this.cursor.value;
        this.done = until !== undefined && this.key >= until;
        return true;
      }
      this.cursor = undefined;
      this.number += 1;
    }
  }

  async load(): Promise<void> {
    this.cursor = new BlockCursor(await this.file.block(this.number));
  }

  loadNow(): void {
    this.cursor = new BlockCursor(this.file.blockNow(this.number));
  }
}

/** Gives pieces in order, those that are gone too, and in between the source whose next block is to be loaded. */
function* merge(newestFirst: readonly Source[]): Generator<Piece | FileSource> {
  for (const source of newestFirst) while (!source.advance()) yield source;
  for (;;) {
    let least: Source | undefined;
    for (const source of newestFirst) if (!source.done && (!least || source.key < least.key)) least = source;
    if (!least) return;
    const { key, value } = least;
    yield { key, value };
    for (const source of newestFirst) {
      if (source.done || source.key !== key) continue;
      while (!source.advance()) yield source;
    }
  }
}

/** Calls `each` with every piece, those that are gone too; waits where it answers a promise. */
export async function mergeInTurn(
  newestFirst: readonly Source[],
  each: (piece: Piece) => Promise<void> | undefined,
): Promise<void> {
  for (const step of merge(newestFirst)) {
    if (step instanceof FileSource) await step.load();
    else {
      const wait = each(step);
      if (wait) await wait;
    }
  }
}

/** All pieces that are there, at once. */
export function* mergeNow(newestFirst: readonly Source[]): Generator<readonly [key: string, value: Uint8Array]> {
  for (const step of merge(newestFirst)) {
    if (step instanceof FileSource) step.loadNow();
    else if (step.value) yield [step.key, step.value];
  }
}
