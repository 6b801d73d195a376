/**
 * What a stretch of the log can't be about: whoever asks for an offset leaves such a stretch out, and its file unread. Of
 * a fixed size, however many queues there are: some of them share a row, which then says yes more often than it had to.
 *
 *   | how many wide f64 | wide: topic, queue, first, last f64 each | rows: lowest first, highest last f64 each |
 *
 * An expiry names all offsets below one, a reset all there are: such wide ranges would spoil the row of their queue, so
 * they stand by themselves for as long as there is room.
 */
const rows = 512;
const wideMax = 64;
const wideSpan = 65_536;
const wideWords = 4;
const rowsAt = 1 + wideMax * wideWords;
const words = rowsAt + 2 * rows;

export const boundsBytes = words * 8;

export class DecisionBounds {
  constructor(readonly values: Float64Array = empty()) {}

  /** The stretch decides something on offsets between the two. */
  note(topic: number, queue: number, first: number, last: number): void {
    if (last - first >= wideSpan && this.noteWide(topic, queue, first, last)) return;
    const { values } = this;
    const row = rowOf(topic, queue);
    if (first < (values[row] as number)) values[row] = first;
    if (last > (values[row + 1] as number)) values[row + 1] = last;
  }

  /** False: nothing of the stretch decides on any offset between the two. */
  mayHold(topic: number, queue: number, first: number, last: number): boolean {
    const { values } = this;
    const row = rowOf(topic, queue);
    if (last >= (values[row] as number) && first <= (values[row + 1] as number)) return true;
    const wide = this.wideOf(topic, queue);
    return wide !== undefined && last >= (values[wide + 2] as number) && first <= (values[wide + 3] as number);
  }

  private noteWide(topic: number, queue: number, first: number, last: number): boolean {
    const { values } = this;
    const known = this.wideOf(topic, queue);
    if (known !== undefined) {
      values[known + 2] = Math.min(first, values[known + 2] as number);
      values[known + 3] = Math.max(last, values[known + 3] as number);
      return true;
    }
    const count = values[0] as number;
    if (count === wideMax) return false;
    values.set([topic, queue, first, last], 1 + count * wideWords);
    values[0] = count + 1;
    return true;
  }

  private wideOf(topic: number, queue: number): number | undefined {
    const { values } = this;
    const end = 1 + (values[0] as number) * wideWords;
    for (let at = 1; at < end; at += wideWords) if (values[at] === topic && values[at + 1] === queue) return at;
    return undefined;
  }
}

function empty(): Float64Array {
  const values = new Float64Array(words);
  for (let row = rowsAt; row < words; row += 2) {
    values[row] = Infinity;
    values[row + 1] = -Infinity;
  }
  return values;
}

/** The queues of a topic stand beside one another. */
function rowOf(topic: number, queue: number): number {
  return rowsAt + 2 * (((Math.imul(topic, 0x9e37_79b1) + queue) >>> 0) % rows);
}
