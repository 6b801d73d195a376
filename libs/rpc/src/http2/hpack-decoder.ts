/**
 * Reads header blocks (HPACK, RFC 7541): the static table, a dynamic table of a connection, Huffman, size updates.
 *
 * A block is read to its end though its list of headers is too long, since the table must stay in step with the
 * sender's; what is over the limit is only not kept. One that is far too long ends the connection. Clients repeat their
 * headers, so most fields are entries of the table that are shared, not made anew; and a block that changes nothing and
 * equals the last one gives the same object.
 */
import type { Headers } from '../grpc-server.js';
import { H2Failure, h2Error } from './constants.js';
import { decodeHuffman } from './huffman.js';
import { RepeatedLiteral } from './repeated-literal.js';

/** RFC 7541, section 4.1: what an entry costs beside its text. */
const entryOverheadBytes = 32;
const staticFieldCount = 61;
/** A list of headers so many times the limit, which was announced, is no mistake. */
const bombFactor = 4;
/** A block up to this size is compared with the one before. */
const repeatBytesMax = 64;
/** Literals at the beginning of a block that are compared with those of the block before. */
const repeatedLiterals = 6;

/** Header names the transport itself looks at. Pseudo-headers come first, as they must in a request. */
const kindOther = 0;
const kindMethod = 1;
const kindPath = 2;
const kindScheme = 3;
const kindAuthority = 4;
const kindContentType = 5;
const kindTimeout = 6;
const kindContentLength = 7;
const kindTe = 8;
/** Of no place in a request: the name alone makes it malformed. */
const kindMalformed = 9;
const kinds: Readonly<Record<string, number>> = {
  ':method': kindMethod,
  ':path': kindPath,
  ':scheme': kindScheme,
  ':authority': kindAuthority,
  'content-type': kindContentType,
  'grpc-timeout': kindTimeout,
  'content-length': kindContentLength,
  te: kindTe,
  // They speak of the connection, which HTTP/2 has other ways for (RFC 9113, section 8.2.2).
  connection: kindMalformed,
  'proxy-connection': kindMalformed,
  'keep-alive': kindMalformed,
  'transfer-encoding': kindMalformed,
  upgrade: kindMalformed,
};
const isPseudo = (kind: number): boolean => kind >= kindMethod && kind <= kindAuthority;

/** Not a name: empty, with capitals, with what no name may have, or a pseudo-header no request has (section 8.2.1). */
// eslint-disable-next-line no-control-regex
const nameMalformed = /^$|[\x00-\x20A-Z\x7f-\xff:]/;
const valueMalformed = /[\0\r\n]/;

export class HeaderField {
  readonly bytes: number;
  readonly kind: number;

  constructor(
    readonly name: string,
    readonly value: string,
    /** What its name alone says; a field with the name of another has the other's. */
    readonly nameKind = nameKindOf(name),
  ) {
    this.bytes = name.length + value.length + entryOverheadBytes;
    const isMalformed = valueMalformed.test(value) || (nameKind === kindTe && value !== 'trailers');
    this.kind = isMalformed ? kindMalformed : nameKind;
  }
}

function nameKindOf(name: string): number {
  if (Object.hasOwn(kinds, name)) return kinds[name] ?? kindOther;
  return nameMalformed.test(name) ? kindMalformed : kindOther;
}

/** The headers of one request. Never changes: calls with the same block may share it. */
export class RequestHeaders implements Headers {
  readonly fields: HeaderField[] = [];
  method: string | undefined;
  path: string | undefined;
  scheme: string | undefined;
  /** Bytes of data that will come, if the caller says so. */
  contentLength: number | undefined;
  contentType: string | undefined;
  timeout: string | undefined;
  /** As RFC 9113 counts a list of headers: 32 bytes a field beside its text. */
  bytes = 0;
  /** The list was longer than allowed; what is here is its beginning. */
  tooLarge = false;
  /** By its fields, in what RFC 9113 (section 8) asks of a request or of trailers. */
  malformed = false;
  pseudoSeen = false;
  private authoritySeen = false;
  private regularSeen = false;

  /** As a request's: nothing that must be there is missing. */
  get complete(): boolean {
    if (this.method === 'CONNECT') return !this.malformed;
    return !this.malformed && this.method !== undefined && this.scheme !== undefined && (this.path ?? '') !== '';
  }

  get(name: string): string | undefined {
    const fields = this.fields;
    for (let i = 0; i < fields.length; i += 1) {
      const field = fields[i];
      if (field?.name === name) return field.value;
    }
    return undefined;
  }

  add(field: HeaderField, bytesMax: number): void {
    this.bytes += field.bytes;
    if (this.bytes > bytesMax) {
      // Nobody has so many headers; a block can name what is large in a byte, again and again.
      if (this.bytes > bombFactor * bytesMax) {
        throw new H2Failure(h2Error.ENHANCE_YOUR_CALM, `a list of headers far above ${bytesMax} bytes`);
      }
      this.tooLarge = true;
      return;
    }
    if (isPseudo(field.kind)) this.addPseudo(field);
    else this.addRegular(field);
    this.fields.push(field);
  }

  private addPseudo({ kind, value }: HeaderField): void {
    this.pseudoSeen = true;
    if (this.regularSeen) this.malformed = true;
    if (this.isKnown(kind)) this.malformed = true;
    else if (kind === kindMethod) this.method = value;
    else if (kind === kindPath) this.path = value;
    else if (kind === kindScheme) this.scheme = value;
    else this.authoritySeen = true;
  }

  private isKnown(kind: number): boolean {
    if (kind === kindMethod) return this.method !== undefined;
    if (kind === kindPath) return this.path !== undefined;
    if (kind === kindScheme) return this.scheme !== undefined;
    return this.authoritySeen;
  }

  private addRegular({ kind, value }: HeaderField): void {
    this.regularSeen = true;
    switch (kind) {
      case kindContentType:
        this.contentType ??= value;
        break;
      case kindTimeout:
        this.timeout ??= value;
        break;
      case kindContentLength: {
        const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
        if (length < 0 || (this.contentLength ?? length) !== length) this.malformed = true;
        this.contentLength = length;
        break;
      }
      case kindMalformed:
        this.malformed = true;
        break;
    }
  }
}

// prettier-ignore
const staticFields: readonly HeaderField[] = ([
  [':authority', ''], [':method', 'GET'], [':method', 'POST'], [':path', '/'], [':path', '/index.html'],
  [':scheme', 'http'], [':scheme', 'https'], [':status', '200'], [':status', '204'], [':status', '206'],
  [':status', '304'], [':status', '400'], [':status', '404'], [':status', '500'], ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'], ['accept-language', ''], ['accept-ranges', ''], ['accept', ''],
  ['access-control-allow-origin', ''], ['age', ''], ['allow', ''], ['authorization', ''], ['cache-control', ''],
  ['content-disposition', ''], ['content-encoding', ''], ['content-language', ''], ['content-length', ''],
  ['content-location', ''], ['content-range', ''], ['content-type', ''], ['cookie', ''], ['date', ''], ['etag', ''],
  ['expect', ''], ['expires', ''], ['from', ''], ['host', ''], ['if-match', ''], ['if-modified-since', ''],
  ['if-none-match', ''], ['if-range', ''], ['if-unmodified-since', ''], ['last-modified', ''], ['link', ''],
  ['location', ''], ['max-forwards', ''], ['proxy-authenticate', ''], ['proxy-authorization', ''], ['range', ''],
  ['referer', ''], ['refresh', ''], ['retry-after', ''], ['server', ''], ['set-cookie', ''],
  ['strict-transport-security', ''], ['transfer-encoding', ''], ['user-agent', ''], ['vary', ''], ['via', ''],
  ['www-authenticate', ''],
] as const).map(([name, value]) => new HeaderField(name, value));

/** Where Huffman text is decoded to; text longer than this gets a buffer of its own. */
const scratch = Buffer.allocUnsafeSlow(16_384);

export interface HpackLimits {
  /** The dynamic table's size as announced in our SETTINGS. */
  readonly tableBytesMax: number;
  /** Of one list of headers, counted as RFC 9113 does. */
  readonly listBytesMax: number;
}

export class HpackDecoder {
  /** Newest at `newest`, going down. A ring: an entry costs 32 bytes at least, so this many can't be exceeded. */
  private readonly ring: (HeaderField | undefined)[];
  private readonly mask: number;
  private newest = -1;
  private count = 0;
  private tableBytes = 0;
  private tableBytesMax: number;

  private source: Buffer = scratch;
  private at = 0;
  private end = 0;

  private readonly repeat = Buffer.alloc(repeatBytesMax);
  private repeatLength = -1;
  private repeated: RequestHeaders | undefined;

  /** By their place among the literals of a block. */
  private readonly literals: RepeatedLiteral<HeaderField>[] = [];

  constructor(private readonly limits: HpackLimits) {
    this.tableBytesMax = limits.tableBytesMax;
    const entriesMax = Math.max(1, Math.floor(limits.tableBytesMax / entryOverheadBytes));
    const capacity = 2 ** Math.ceil(Math.log2(entriesMax));
    this.ring = [];
    this.mask = capacity - 1;
  }

  /** Reads one whole block, `source[from, to)`. Throws H2Failure(COMPRESSION_ERROR); the connection is then lost. */
  decode(source: Buffer, from: number, to: number): RequestHeaders {
    const length = to - from;
    if (this.repeated !== undefined && length === this.repeatLength && this.equalsLast(source, from))
      return this.repeated;
    this.source = source;
    this.at = from;
    this.end = to;
    const headers = new RequestHeaders();
    const changed = this.readFields(headers);
    this.source = scratch; // Not to hold on to the socket's chunk.
    if (changed || length > repeatBytesMax) {
      this.repeated = undefined;
    } else {
      source.copy(this.repeat, 0, from, to);
      this.repeatLength = length;
      this.repeated = headers;
    }
    return headers;
  }

  private equalsLast(source: Buffer, from: number): boolean {
    for (let i = 0; i < this.repeatLength; i += 1) if (source[from + i] !== this.repeat[i]) return false;
    return true;
  }

  /** True if the dynamic table was changed. */
  private readFields(headers: RequestHeaders): boolean {
    const listBytesMax = this.limits.listBytesMax;
    let changed = false;
    let fieldSeen = false;
    let literals = 0;
    while (this.at < this.end) {
      const first = this.source[this.at] ?? 0;
      if (first & 0x80) {
        headers.add(this.field(this.integer(first, 0x7f)), listBytesMax);
        fieldSeen = true;
      } else if ((first & 0xe0) === 0x20) {
        if (fieldSeen) throw compression('a table size update after a header');
        this.resize(this.integer(first, 0x1f));
        changed = true;
      } else {
        const indexing = (first & 0xc0) === 0x40;
        const nameIndex = this.integer(first, indexing ? 0x3f : 0x0f);
        const field = this.literal(nameIndex, literals);
        literals += 1;
        if (indexing) {
          this.insert(field);
          changed = true;
        }
        headers.add(field, listBytesMax);
        fieldSeen = true;
      }
    }
    return changed;
  }

  /** @param place among the literals of the block. What stood there in the block before is not read again. */
  private literal(nameIndex: number, place: number): HeaderField {
    const { source, end, at: nameFrom } = this;
    const known = place < repeatedLiterals ? (this.literals[place] ??= new RepeatedLiteral<HeaderField>()) : undefined;
    let named: HeaderField | undefined;
    if (nameIndex !== 0) named = this.field(nameIndex);
    else {
      const nameEnd = known?.nameEnd(source, nameFrom, end) ?? 0;
      if (nameEnd > 0) {
        named = known?.last;
        this.at = nameEnd;
      }
    }
    const name = named?.name ?? this.text();
    const valueFrom = this.at;
    const valueEnd = known?.valueEnd(name, source, valueFrom, end) ?? 0;
    if (valueEnd > 0 && known?.last) {
      this.at = valueEnd;
      return known.last;
    }
    const field = new HeaderField(name, this.text(), named?.nameKind);
    known?.keep(field, source, nameFrom, valueFrom, this.at);
    return field;
  }

  private field(index: number): HeaderField {
    let found: HeaderField | undefined;
    if (index <= staticFieldCount) {
      found = staticFields[index - 1];
    } else if (index - staticFieldCount <= this.count) {
      found = this.ring[(this.newest - (index - staticFieldCount - 1)) & this.mask];
    }
    if (found === undefined) throw compression(`no table entry ${index}`);
    return found;
  }

  private insert(field: HeaderField): void {
    this.evict(this.tableBytesMax - field.bytes);
    if (field.bytes > this.tableBytesMax) return; // Too large for the table: it empties it, and is not kept.
    this.newest = (this.newest + 1) & this.mask;
    this.ring[this.newest] = field;
    this.count += 1;
    this.tableBytes += field.bytes;
  }

  private evict(bytesMax: number): void {
    while (this.count > 0 && this.tableBytes > bytesMax) {
      const oldest = (this.newest - (this.count - 1)) & this.mask;
      this.tableBytes -= this.ring[oldest]?.bytes ?? 0;
      this.ring[oldest] = undefined;
      this.count -= 1;
    }
  }

  private resize(bytes: number): void {
    if (bytes > this.limits.tableBytesMax)
      throw compression(`a table of ${bytes} bytes, at most ${this.limits.tableBytesMax}`);
    this.tableBytesMax = bytes;
    this.evict(bytes);
  }

  /** An integer whose first bits are in `first` (RFC 7541, section 5.1); `mask` is also the largest short value. */
  private integer(first: number, mask: number): number {
    this.at += 1;
    let value = first & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.at >= this.end) throw compression('an integer runs past the end');
      const byte = this.source[this.at] ?? 0;
      this.at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw compression('an integer of more than 28 bits');
  }

  private text(): string {
    if (this.at >= this.end) throw compression('a text runs past the end');
    const first = this.source[this.at] ?? 0;
    const length = this.integer(first, 0x7f);
    const from = this.at;
    const to = from + length;
    if (to > this.end) throw compression('a text runs past the end');
    this.at = to;
    if ((first & 0x80) === 0) return this.source.toString('latin1', from, to);
    const into = length <= 10_000 ? scratch : Buffer.allocUnsafeSlow(Math.ceil(length * 1.6) + 1);
    const written = decodeHuffman(this.source, from, to, into);
    if (written < 0) throw compression('not a Huffman code');
    return into.toString('latin1', 0, written);
  }
}

function compression(message: string): H2Failure {
  return new H2Failure(h2Error.COMPRESSION_ERROR, message);
}
