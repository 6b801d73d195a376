/** Writes the frames of a connection into an outbox, straight into its block. Knows no windows: what to say is decided before. */
import { flag, frameHeaderBytes, frameType } from './constants.js';
import type { H2ErrorCode } from './constants.js';
import { encodeGrpcMessage, okBlockBytesMax, ResponseHeaders } from './response-headers.js';
import { settingsPayload } from './settings.js';

/** Where the bytes go. */
export interface FrameOut {
  /** A block with room for `bytes` from `offset` on. What was written there is made known by `advance`. */
  reserve(bytes: number): Buffer;
  readonly offset: number;
  advance(to: number): void;
}

/** gRPC's own prefix of a message. */
export const messagePrefixBytes = 5;
const nothing = Buffer.alloc(0);

export class FrameWriter {
  private readonly answers = new ResponseHeaders();

  constructor(private readonly out: FrameOut) {}

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  tableLimit(bytes: number): void {
    this.answers.tableLimit(bytes);
  }

  /** The head of a frame of data; the payload follows. */
  dataHead(streamId: number, bytes: number): void {
    const block = this.out.reserve(frameHeaderBytes);
    const at = this.out.offset;
    writeHead(block, at, bytes, frameType.DATA, 0, streamId);
    this.out.advance(at + frameHeaderBytes);
  }

  /** The head of a frame that is one gRPC message, and the message's prefix. */
  messageHead(streamId: number, messageBytes: number): void {
    const block = this.out.reserve(frameHeaderBytes + messagePrefixBytes);
    const at = this.out.offset;
    writeHead(block, at, messageBytes + messagePrefixBytes, frameType.DATA, 0, streamId);
    writeMessagePrefix(block, at + frameHeaderBytes, messageBytes);
    this.out.advance(at + frameHeaderBytes + messagePrefixBytes);
  }

  /** The headers of a request, encoded; they fit into one frame. */
  request(streamId: number, headers: Buffer): void {
    const block = this.out.reserve(frameHeaderBytes + headers.length);
    const at = this.out.offset;
    headers.copy(block, at + frameHeaderBytes);
    writeHead(block, at, headers.length, frameType.HEADERS, flag.END_HEADERS, streamId);
    this.out.advance(at + frameHeaderBytes + headers.length);
  }

  /** The headers of an answer that goes well so far. */
  opening(streamId: number): void {
    const block = this.out.reserve(frameHeaderBytes + okBlockBytesMax);
    const at = this.out.offset;
    const end = this.answers.writeOpening(block, at + frameHeaderBytes);
    writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flag.END_HEADERS, streamId);
    this.out.advance(end);
  }

  /** Trailers with status OK, behind headers. */
  okTrailers(streamId: number): void {
    const block = this.out.reserve(frameHeaderBytes + okBlockBytesMax);
    const at = this.out.offset;
    const end = this.answers.writeOk(block, at + frameHeaderBytes);
    writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flag.END_STREAM | flag.END_HEADERS, streamId);
    this.out.advance(end);
  }

  /** Trailers with a status; `alone`: they are headers too. */
  statusTrailers(streamId: number, alone: boolean, status: number, message: string, code?: string): void {
    const text = message === '' ? nothing : encodeGrpcMessage(message);
    const block = this.out.reserve(frameHeaderBytes + 2 * okBlockBytesMax + text.length + (code?.length ?? 0));
    const at = this.out.offset;
    let end = at + frameHeaderBytes;
    if (alone) end = this.answers.writeOpening(block, end);
    end = this.answers.writeStatus(block, end, status, text, code);
    writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flag.END_STREAM | flag.END_HEADERS, streamId);
    this.out.advance(end);
  }

  /** An empty frame of data that ends a stream. */
  dataEnd(streamId: number): void {
    const block = this.out.reserve(frameHeaderBytes);
    const at = this.out.offset;
    writeHead(block, at, 0, frameType.DATA, flag.END_STREAM, streamId);
    this.out.advance(at + frameHeaderBytes);
  }

  /** The headers of an answer that is not gRPC's. */
  httpStatus(streamId: number, httpStatus: number): void {
    const block = this.out.reserve(frameHeaderBytes + okBlockBytesMax);
    const at = this.out.offset;
    const end = this.answers.writeHttpStatus(block, at + frameHeaderBytes, httpStatus);
    writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flag.END_HEADERS, streamId);
    this.out.advance(end);
  }

  settings(entries: readonly (readonly [id: number, value: number])[]): void {
    const payload = settingsPayload(entries);
    this.frame(frameType.SETTINGS, 0, payload, 0, payload.length);
  }

  settingsAck(): void {
    this.frame(frameType.SETTINGS, flag.ACK, nothing, 0, 0);
  }

  ping(payload: Buffer): void {
    this.frame(frameType.PING, 0, payload, 0, 8);
  }

  pingAck(payload: Buffer, from: number): void {
    this.frame(frameType.PING, flag.ACK, payload, from, from + 8);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.number(frameType.WINDOW_UPDATE, streamId, increment);
  }

  reset(streamId: number, code: H2ErrorCode): void {
    this.number(frameType.RST_STREAM, streamId, code);
  }

  goAway(lastStreamId: number, code: H2ErrorCode, reason: string): void {
    const payload = Buffer.alloc(8 + Math.min(reason.length, 200));
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    payload.write(reason, 8, 'latin1');
    this.frame(frameType.GOAWAY, 0, payload, 0, payload.length);
  }

  private number(type: number, streamId: number, value: number): void {
    const block = this.out.reserve(frameHeaderBytes + 4);
    const at = this.out.offset;
    block.writeUInt32BE(value, at + frameHeaderBytes);
    writeHead(block, at, 4, type, 0, streamId);
    this.out.advance(at + frameHeaderBytes + 4);
  }

  private frame(type: number, flags: number, payload: Buffer, from: number, to: number): void {
    const block = this.out.reserve(frameHeaderBytes + to - from);
    const at = this.out.offset;
    payload.copy(block, at + frameHeaderBytes, from, to);
    writeHead(block, at, to - from, type, flags, 0);
    this.out.advance(at + frameHeaderBytes + to - from);
  }
}

function writeHead(into: Buffer, at: number, length: number, type: number, flags: number, streamId: number): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
}

/** The prefix of a message that is not compressed. */
export function writeMessagePrefix(into: Buffer, at: number, length: number): void {
  into[at] = 0;
  into[at + 1] = length >>> 24;
  into[at + 2] = length >>> 16;
  into[at + 3] = length >>> 8;
  into[at + 4] = length;
}
