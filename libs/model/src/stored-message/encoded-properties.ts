import { Envelope } from '../envelope.js';

/** A property's name, as text and as it stands in an encoded message. */
interface PropertyName {
  readonly text: string;
  readonly utf8: Uint8Array;
}

/**
 * The properties of a stored message, read where they stand: one walk over the encoded message finds the ranges of those
 * that are sought, and a text is made only of what a term asks for. The body is jumped over. One object serves any
 * number of messages, one after another. What is malformed has no properties; nothing here throws.
 */
export class EncodedProperties {
  /** The message's tag, UTF-8; empty: it has none. */
  tag: Buffer = nothing;
  private message: Buffer = nothing;
  private names: readonly PropertyName[] = [];
  /** From and to of each name's value; from is -1 where the message has none. */
  private ranges = new Int32Array(16);
  private systemFrom = 0;
  private systemTo = 0;
  /** Behind the varint that was read last; -1: it was none. */
  private at = 0;

  /** Looks at the payload of a message's record from now on. */
  of(payload: Uint8Array): this {
    const envelope = new Envelope(payload);
    this.tag = envelope.tag;
    this.message = envelope.message;
    return this;
  }

  /** Looks at an encoded message alone, which has no tag then. */
  ofMessage(message: Uint8Array): this {
    this.tag = nothing;
    this.message = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    return this;
  }

  /** Looks for these properties: from now on `text(i)` is the i-th of them. */
  seek(names: readonly PropertyName[]): void {
    const { message } = this;
    this.names = names;
    if (this.ranges.length < 2 * names.length) this.ranges = new Int32Array(2 * names.length);
    for (let i = 0; i < names.length; i += 1) this.ranges[2 * i] = -1;
    this.systemFrom = 0;
    this.systemTo = 0;
    this.at = 0;
    while (this.at < message.length) {
      const tag = this.varint(message.length);
      const end = this.fieldEnd(tag, message.length);
      if (end < 0) return;
      if (tag === userPropertyTag) this.entry(this.at, end);
      else if (tag === systemTag) {
        this.systemFrom = this.at;
        this.systemTo = end;
      }
      this.at = end;
    }
  }

  /** Undefined: the message has no such property. */
  text(index: number): string | undefined {
    const from = this.ranges[2 * index] as number;
    if (from >= 0) return this.message.toString('utf8', from, this.ranges[2 * index + 1]);
    const read = systemNames.get((this.names[index] as PropertyName).text);
    return read && this.system(read);
  }

  /** An entry of the map: key 1, value 2; either may be left out for an empty text. */
  private entry(from: number, to: number): void {
    let keyFrom = from;
    let keyTo = from;
    let valueFrom = from;
    let valueTo = from;
    this.at = from;
    while (this.at < to) {
      const tag = this.varint(to);
      const end = this.fieldEnd(tag, to);
      if (end < 0) return;
      if (tag === keyTag) {
        keyFrom = this.at;
        keyTo = end;
      } else if (tag === valueTag) {
        valueFrom = this.at;
        valueTo = end;
      }
      this.at = end;
    }
    const { names, ranges } = this;
    for (let i = 0; i < names.length; i += 1) {
      if (!this.isAt((names[i] as PropertyName).utf8, keyFrom, keyTo)) continue;
      ranges[2 * i] = valueFrom;
      ranges[2 * i + 1] = valueTo;
      return;
    }
  }

  private isAt(name: Uint8Array, from: number, to: number): boolean {
    if (name.length !== to - from) return false;
    for (let i = 0; i < name.length; i += 1) if (name[i] !== this.message[from + i]) return false;
    return true;
  }

  private system({ field, as }: SystemName): string | undefined {
    const found: string[] = [];
    this.at = this.systemFrom;
    while (this.at < this.systemTo) {
      const tag = this.varint(this.systemTo);
      const end = this.fieldEnd(tag, this.systemTo);
      if (end < 0) break;
      if (tag === ((field << 3) | bytesType)) {
        if (as === 'time') found.push(String(this.timeMs(this.at, end)));
        else found.push(this.message.toString('utf8', this.at, end));
      }
      this.at = end;
    }
    if (found.length === 0) return undefined;
    const text = as === 'list' ? found.join(' ') : (found[found.length - 1] as string);
    return text === '' ? undefined : text;
  }

  private timeMs(from: number, to: number): number {
    let seconds = 0;
    let nanos = 0;
    this.at = from;
    while (this.at < to) {
      const tag = this.varint(to);
      const value = this.varint(to);
      if (value < 0) break;
      if (tag === 0x08) seconds = value;
      else if (tag === 0x10) nanos = value;
    }
    this.at = to;
    return seconds * 1000 + Math.floor(nanos / 1e6);
  }

  /** Where the field with this tag ends; `at` is then where its content begins. -1: malformed. */
  private fieldEnd(tag: number, to: number): number {
    let end = -1;
    switch (tag < 0 ? -1 : tag & 7) {
      case bytesType: {
        const length = this.varint(to);
        end = length < 0 ? -1 : this.at + length;
        break;
      }
      case 0: {
        const from = this.at;
        if (this.varint(to) >= 0) end = this.at;
        this.at = from;
        break;
      }
      case 1:
        end = this.at + 8;
        break;
      case 5:
        end = this.at + 4;
        break;
    }
    return end > to ? -1 : end;
  }

  /** -1: it has no end, or is beyond 2^53. */
  private varint(to: number): number {
    let value = 0;
    for (let scale = 1; this.at < to && scale < 2 ** 53; scale *= 128) {
      const byte = this.message[this.at] as number;
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return -1;
  }
}

const nothing = Buffer.alloc(0);
const bytesType = 2;
const userPropertyTag = 0x12;
const systemTag = 0x1a;
const keyTag = 0x0a;
const valueTag = 0x12;

interface SystemName {
  /** In the message's system properties. */
  readonly field: number;
  readonly as: 'text' | 'list' | 'time';
}

/** RocketMQ's names for what a message says besides its own properties. Senders can't use them. */
const systemNames: ReadonlyMap<string, SystemName> = new Map<string, SystemName>([
  ['TAGS', { field: 1, as: 'text' }],
  ['KEYS', { field: 2, as: 'list' }],
  ['UNIQ_KEY', { field: 3, as: 'text' }],
  ['BORN_TIMESTAMP', { field: 7, as: 'time' }],
  ['__BORNHOST', { field: 8, as: 'text' }],
  ['TIMER_DELIVER_MS', { field: 11, as: 'time' }],
  ['__SHARDINGKEY', { field: 17, as: 'text' }],
  ['TRACE_CONTEXT', { field: 18, as: 'text' }],
]);
