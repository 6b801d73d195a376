/**
 * Names as bytes, one after another in chunks that never move: a name costs its characters and nothing more. A name is
 * at most 255 characters of one byte each. What is given back leaves a hole; the owner moves everything to a new arena
 * when there is more hole than name.
 */
const chunkBits = 20;
const chunkBytes = 1 << chunkBits;

export class NameArena {
  private readonly chunks: Buffer[] = [];
  private end = chunkBytes;
  /** Characters in use, and in holes. */
  bytes = 0;
  garbage = 0;

  /** Where the name is kept. */
  add(name: string): number {
    const at = this.room(name.length);
    (this.chunks[at >>> chunkBits] as Buffer).write(name, at & (chunkBytes - 1), 'latin1');
    return at;
  }

  /** The same name in another arena. */
  moveTo(other: NameArena, at: number, length: number): number {
    const to = other.room(length);
    const place = at & (chunkBytes - 1);
    (this.chunks[at >>> chunkBits] as Buffer).copy(
      other.chunks[to >>> chunkBits] as Buffer,
      to & (chunkBytes - 1),
      place,
      place + length,
    );
    return to;
  }

  drop(length: number): void {
    this.bytes -= length;
    this.garbage += length;
  }

  text(at: number, length: number): string {
    const place = at & (chunkBytes - 1);
    return (this.chunks[at >>> chunkBits] as Buffer).toString('latin1', place, place + length);
  }

  equals(at: number, length: number, name: string): boolean {
    if (name.length !== length) return false;
    const chunk = this.chunks[at >>> chunkBits] as Buffer;
    const place = at & (chunkBytes - 1);
    for (let i = 0; i < length; i += 1) if (chunk[place + i] !== name.charCodeAt(i)) return false;
    return true;
  }

  startsWith(at: number, length: number, prefix: string): boolean {
    return length >= prefix.length && this.equals(at, prefix.length, prefix);
  }

  private room(length: number): number {
    if (this.end + length > chunkBytes) {
      this.chunks.push(Buffer.alloc(chunkBytes));
      this.end = 0;
    }
    const at = ((this.chunks.length - 1) * chunkBytes + this.end) >>> 0;
    this.end += length;
    this.bytes += length;
    return at;
  }
}
