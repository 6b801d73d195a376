/**
 * What stood at one place among the literals of a connection's last header block, as it was sent, and what was made of it. Clients
 * that put a value into no table (a signature, as it is a secret; a time, an id of the call) send the same names in each call, and
 * most of the values: those are compared with what was sent before and not read again.
 */

const nameBytesMax = 64;
const valueBytesMax = 512;
/** Up to this length a loop is faster than a call out of JavaScript. */
const loopBytesMax = 48;
/** A value that was another one so many times in a row is no longer kept each time, and is looked at again so seldom. */
const changesMin = 4;
const lookAgain = 16;
const nothing: Buffer = Buffer.alloc(0);

export class RepeatedLiteral<HeaderField extends { readonly name: string; readonly value: string }> {
  private field: HeaderField | undefined;
  private nameBytes: Buffer = nothing;
  private nameLength = 0;
  private valueBytes: Buffer = nothing;
  private valueLength = 0;
  private changes = 0;

  /** Behind the name that stands at `from`, where it is the one kept: its field then says its name; else 0. */
  nameEnd(source: Buffer, from: number, end: number): number {
    const { nameLength } = this;
    if (nameLength === 0 || from + nameLength > end || !equals(source, from, this.nameBytes, nameLength)) return 0;
    return from + nameLength;
  }

  /** Behind the value that stands at `from`, where name and value are those of the field kept; else 0. */
  valueEnd(name: string, source: Buffer, from: number, end: number): number {
    const { valueLength } = this;
    if (valueLength === 0 || from + valueLength > end || this.field?.name !== name) return 0;
    if (!equals(source, from, this.valueBytes, valueLength)) return 0;
    this.changes = 0;
    return from + valueLength;
  }

  get last(): HeaderField | undefined {
    return this.field;
  }

  /**
   * Another one stands here now.
   * @param nameFrom where its name stands; as `valueFrom`, where it comes from a table
   */
  keep(field: HeaderField, source: Buffer, nameFrom: number, valueFrom: number, to: number): void {
    const nameLength = valueFrom - nameFrom;
    if (nameLength === 0 || nameLength > nameBytesMax) this.nameLength = 0;
    else if (nameLength !== this.nameLength || this.field?.name !== field.name) {
      this.nameBytes = copied(this.nameBytes, source, nameFrom, valueFrom);
      this.nameLength = nameLength;
    }
    this.field = field;
    this.changes += 1;
    const valueLength = to - valueFrom;
    const isKept = valueLength <= valueBytesMax && (this.changes <= changesMin || this.changes % lookAgain === 0);
    if (isKept) this.valueBytes = copied(this.valueBytes, source, valueFrom, to);
    this.valueLength = isKept ? valueLength : 0;
  }
}

function equals(source: Buffer, from: number, kept: Buffer, length: number): boolean {
  if (length > loopBytesMax) return source.compare(kept, 0, length, from, from + length) === 0;
  for (let i = 0; i < length; i += 1) if (source[from + i] !== kept[i]) return false;
  return true;
}

function copied(into: Buffer, source: Buffer, from: number, to: number): Buffer {
  const length = to - from;
  const kept = into.length >= length ? into : Buffer.allocUnsafeSlow(length);
  if (length > loopBytesMax) source.copy(kept, 0, from, to);
  else for (let i = 0; i < length; i += 1) kept[i] = source[from + i] ?? 0;
  return kept;
}
