/**
 * Decoding that makes no more objects than it was told: two bytes on the wire can be an object of a hundred in memory,
 * so a request of some megabytes may hold millions of empty messages.
 */
import { BinaryReader } from '@bufbuild/protobuf/wire';

export class TooManyFields extends Error {}

/** Every tag, length, enum and element of a list counts when it is read, before anything is made of it. */
class CountingReader extends BinaryReader {
  numbersLeft: number;

  constructor(
    bytes: Uint8Array,
    readonly fieldsMax: number,
  ) {
    super(bytes);
    this.numbersLeft = 2 * fieldsMax; // A tag, and a length or a number.
    this.uint32 = countedUint32;
  }
}

const readUint32 = new BinaryReader(new Uint8Array(0)).uint32;

function countedUint32(this: CountingReader): number {
  if (this.numbersLeft === 0) throw new TooManyFields(`more than ${this.fieldsMax} fields`);
  this.numbersLeft -= 1;
  return readUint32.call(this);
}

/**
 * @param fieldsMax fields of all messages together, those of embedded ones too
 * @throws TooManyFields, or what the codec throws
 */
export function decodeCounted<T>(codec: { decode(input: BinaryReader): T }, bytes: Uint8Array, fieldsMax: number): T {
  return codec.decode(new CountingReader(bytes, fieldsMax));
}
