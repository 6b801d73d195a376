/**
 * Where records of some kinds stand, noted as they are folded, for who looks at them later and would else have to read the
 * whole log for them. Bounded: when too many have gathered the oldest are forgotten, and are found by reading.
 *
 *   log  | …… not noted …… | from: each of the kinds is noted …… to: as far as the log is folded |
 */
import type { LogPosition, RecordKind } from '@cometmq/model';

const notesMax = 64 * 1024;

export class RecordNotes {
  /** By kind. */
  private readonly wanted: boolean[] = [];
  private readonly positions: Float64Array;
  private readonly sizes: Uint32Array;
  private head = 0;
  private count = 0;
  private first = Infinity;
  private folded = 0;

  constructor(kinds: Iterable<RecordKind>, max = notesMax) {
    for (const kind of kinds) this.wanted[kind] = true;
    this.positions = new Float64Array(max);
    this.sizes = new Uint32Array(max);
  }

  /** Between the two all of the kinds are noted, both where records begin. Infinity: nothing is folded. */
  get from(): number {
    return this.first;
  }
  get to(): LogPosition {
    return this.folded as LogPosition;
  }

  /** The fold begins, anew, at this position. */
  begin(at: LogPosition): void {
    this.head = this.count = 0;
    this.first = this.folded = at;
  }

  /** What was folded is forgotten. */
  clear(): void {
    this.head = this.count = this.folded = 0;
    this.first = Infinity;
  }

  /** A record was folded. */
  note(kind: RecordKind, position: LogPosition, size: number): void {
    this.folded = position + size;
    if (this.wanted[kind] !== true) return;
    const max = this.positions.length;
    if (this.count === max) this.forgetOldest(max >>> 1);
    const at = (this.head + this.count) % max;
    this.positions[at] = position;
    this.sizes[at] = size;
    this.count += 1;
  }

  /**
   * The next stretch of such records that stand one behind the other, between `from` and `until`, where records begin;
   * undefined: there is none. What lies before is forgotten.
   */
  next(from: LogPosition, until: LogPosition): { readonly from: LogPosition; readonly to: LogPosition } | undefined {
    while (this.count > 0 && this.positionAt(0) < from) this.drop();
    if (this.first < from) this.first = from;
    const begin = this.positionAt(0);
    if (this.count === 0 || begin >= until) return undefined;
    let to = begin;
    for (let i = 0; i < this.count && to < until && this.positionAt(i) === to; i += 1) to += this.sizeAt(i);
    return { from: begin as LogPosition, to: to as LogPosition };
  }

  private forgetOldest(count: number): void {
    for (let i = 0; i < count; i += 1) this.drop();
    this.first = this.positionAt(0);
  }

  private drop(): void {
    this.head = (this.head + 1) % this.positions.length;
    this.count -= 1;
  }

  private positionAt(i: number): number {
    return this.positions[(this.head + i) % this.positions.length] as number;
  }

  private sizeAt(i: number): number {
    return this.sizes[(this.head + i) % this.sizes.length] as number;
  }
}
