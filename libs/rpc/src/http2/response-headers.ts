/**
 * Writes the few header blocks a gRPC server says (HPACK, RFC 7541).
 *
 * Two fields come with every answer: `content-type: application/grpc` and `grpc-status: 0`. Each is put into the
 * client's dynamic table the first time it is said and is one byte from then on; nothing else ever goes there, so the
 * status, always second, is the newest entry. A client that allows a smaller table than the default gets literals.
 */
import { codeTrailer } from '../status.js';
import { defaultHpackTableBytes } from './settings.js';

const status200 = 0x88;
const sizeUpdateToZero = 0x20;
const indexedBit = 0x80;
const firstDynamicIndex = 62;

const contentTypeValue = text('application/grpc');
// Name from the static table (31), value literal; kept in the table, or not.
const contentTypeKept = Buffer.concat([Buffer.of(0x40 | 31), contentTypeValue]);
const contentTypeLiteral = Buffer.concat([Buffer.of(0x0f, 31 - 15), contentTypeValue]);
const grpcStatusName = text('grpc-status');
const grpcMessageName = text('grpc-message');
const codeName = text(codeTrailer);
const statusOkKept = Buffer.concat([Buffer.of(0x40), grpcStatusName, text('0')]);

function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')]);
}

/** No header block of ours with status OK is longer. */
export const okBlockBytesMax = 64;

export class ResponseHeaders {
  private contentTypeIsKept = false;
  private statusIsKept = false;
  private tableAllowed = true;
  private updateDue = false;

  /** The client's SETTINGS_HEADER_TABLE_SIZE. */
  tableLimit(bytes: number): void {
    if (bytes >= defaultHpackTableBytes || !this.tableAllowed) return;
    this.tableAllowed = false;
    this.updateDue = true;
  }

  /** `:status: 200, content-type: application/grpc`. Gives the offset behind it. */
  writeOpening(into: Buffer, at: number): number {
    if (this.updateDue) {
      this.updateDue = false;
      into[at++] = sizeUpdateToZero;
    }
    into[at++] = status200;
    if (!this.tableAllowed) return at + contentTypeLiteral.copy(into, at);
    if (this.contentTypeIsKept) {
      into[at++] = indexedBit | (firstDynamicIndex + (this.statusIsKept ? 1 : 0));
      return at;
    }
    this.contentTypeIsKept = true;
    return at + contentTypeKept.copy(into, at);
  }

  /** `grpc-status: 0`. */
  writeOk(into: Buffer, at: number): number {
    if (this.updateDue) return this.writeStatus(into, at, 0);
    if (!this.tableAllowed || !this.contentTypeIsKept) return this.writeStatus(into, at, 0);
    if (this.statusIsKept) {
      into[at++] = indexedBit | firstDynamicIndex;
      return at;
    }
    this.statusIsKept = true;
    return at + statusOkKept.copy(into, at);
  }

  /**
   * `grpc-status` and, unless empty, `grpc-message` and our own code: the block is at most the length of both and 64
   * bytes.
   */
  writeStatus(into: Buffer, at: number, status: number, message?: Buffer, code?: string): number {
    if (this.updateDue) {
      this.updateDue = false;
      into[at++] = sizeUpdateToZero;
    }
    into[at++] = 0;
    at += grpcStatusName.copy(into, at);
    if (status >= 10) {
      into[at++] = 2;
      into[at++] = 0x30 + Math.floor(status / 10);
    } else {
      into[at++] = 1;
    }
    into[at++] = 0x30 + (status % 10);
    if (code !== undefined) {
      into[at++] = 0;
      at += codeName.copy(into, at);
      at = writeLength(into, at, code.length);
      at += into.write(code, at, 'latin1');
    }
    if (message === undefined || message.length === 0) return at;
    into[at++] = 0;
    at += grpcMessageName.copy(into, at);
    at = writeLength(into, at, message.length);
    return at + message.copy(into, at);
  }

  /** `:status` alone, for what is not gRPC at all. */
  writeHttpStatus(into: Buffer, at: number, httpStatus: number): number {
    if (this.updateDue) {
      this.updateDue = false;
      into[at++] = sizeUpdateToZero;
    }
    into[at++] = 0x08; // Literal, not kept, name of static entry 8.
    into[at++] = 3;
    return at + into.write(String(httpStatus), at, 'latin1');
  }
}

/** A length with a prefix of seven bits. */
export function writeLength(into: Buffer, at: number, length: number): number {
  if (length < 127) {
    into[at++] = length;
    return at;
  }
  into[at++] = 127;
  let left = length - 127;
  while (left >= 128) {
    into[at++] = (left & 127) | 128;
    left >>>= 7;
  }
  into[at++] = left;
  return at;
}

const messageBytesMax = 1_024;

/** A text as `grpc-message` carries it: UTF-8 with everything but printable ASCII, and `%`, as `%XX`. Cut at 1 KiB. */
export function encodeGrpcMessage(message: string): Buffer {
  const out: number[] = [];
  for (const byte of Buffer.from(message, 'utf8')) {
    if (out.length >= messageBytesMax - 3) break;
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) {
      out.push(byte);
    } else {
      const hex = byte.toString(16).toUpperCase().padStart(2, '0');
      out.push(0x25, hex.charCodeAt(0), hex.charCodeAt(1));
    }
  }
  return Buffer.from(out);
}
