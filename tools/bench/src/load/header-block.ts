/**
 * Request headers as HPACK (RFC 7541): what repeats is put into the dynamic table by the first request that says it,
 * and is one byte from then on; what is new in each call is a literal that is never kept. No Huffman coding.
 *
 * One encoder belongs to one connection. It never fills the table, so nothing is ever evicted.
 */

/** Entries of the static table that requests use. */
const staticPairs = new Map([
  [':method: POST', 3],
  [':scheme: http', 6],
]);
const staticNames = new Map([
  [':authority', 1],
  [':path', 4],
  ['content-type', 31],
  ['user-agent', 58],
]);
const staticEntries = 61;
/** What the peer keeps unless told otherwise; an entry counts 32 bytes more than its text. */
const tableBytesMax = 4096;

export class HeaderEncoder {
  private readonly inserted = new Map<string, number>();
  private readonly names = new Map<string, number>();
  private tableBytes = 0;

  /** Changes whenever indexes have moved: blocks made before are stale. */
  get version(): number {
    return this.inserted.size;
  }

  /** `fixed` repeats in every request; `fresh` holds a value of full length, to be written over in each. */
  encode(fixed: readonly (readonly [string, string])[], fresh: readonly (readonly [string, string])[]): HeaderBlock {
    const bytes: number[] = [];
    const before = this.version;
    for (const [name, value] of fixed) this.putRepeated(bytes, name, value);
    const holes = new Map<string, number>();
    for (const [name, value] of fresh) {
      bytes.push(0x10); // A literal that is never kept, with a new name.
      putText(bytes, name);
      putInteger(bytes, value.length, 7, 0);
      holes.set(name, bytes.length);
      for (const byte of Buffer.from(value, 'latin1')) bytes.push(byte);
    }
    return { bytes: Buffer.from(bytes), holes, version: this.version, repeatable: this.version === before };
  }

  private putRepeated(bytes: number[], name: string, value: string): void {
    const pair = `${name}: ${value}`;
    const known = staticPairs.get(pair) ?? this.indexOf(this.inserted.get(pair));
    if (known !== undefined) {
      putInteger(bytes, known, 7, 0x80);
      return;
    }
    this.tableBytes += name.length + value.length + 32;
    if (this.tableBytes > tableBytesMax) throw new Error('more headers than the table holds');
    const nameIndex = staticNames.get(name) ?? this.indexOf(this.names.get(name)) ?? 0;
    putInteger(bytes, nameIndex, 6, 0x40);
    if (nameIndex === 0) putText(bytes, name);
    putText(bytes, value);
    this.inserted.set(pair, this.inserted.size);
    this.names.set(name, this.inserted.size - 1);
  }

  /** The newest entry comes first. */
  private indexOf(insertion: number | undefined): number | undefined {
    return insertion === undefined ? undefined : staticEntries + this.inserted.size - insertion;
  }
}

export interface HeaderBlock {
  readonly bytes: Buffer;
  /** Where the values of the fresh headers stand. */
  readonly holes: ReadonlyMap<string, number>;
  readonly version: number;
  /** False: it puts something into the table, so it can be sent once only. */
  readonly repeatable: boolean;
}

function putText(bytes: number[], text: string): void {
  putInteger(bytes, text.length, 7, 0);
  for (const byte of Buffer.from(text, 'latin1')) bytes.push(byte);
}

function putInteger(bytes: number[], value: number, prefixBits: number, first: number): void {
  const most = 2 ** prefixBits - 1;
  if (value < most) {
    bytes.push(first | value);
    return;
  }
  bytes.push(first | most);
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
}
