/**
 * Cuts what a socket delivers into HTTP/2 frames (RFC 9113, sections 4 and 6), without waiting for a frame of data to
 * be whole and without copying it: data is passed on as pieces of the chunk it came in.
 *
 * What must be whole to be understood (headers, settings, …) is read in place if the chunk holds all of it, and is
 * gathered otherwise; so a connection holds at most one frame, or one header block, of at most the limits here.
 */
import { flag, frameHeaderBytes, frameType, H2Failure, h2Error } from './constants.js';

/** What the frames mean is up to this. Offsets are into the buffer given, which is only lent for the call. */
export interface FrameSink {
  /** A frame of data begins; `flowBytes` count against the windows, padding included. */
  dataBegins(streamId: number, flowBytes: number, endStream: boolean): void;
  /** The next piece of it. Pieces may be kept: the memory is never written again. */
  dataPiece(chunk: Buffer, from: number, to: number): void;
  dataEnds(): void;
  /** A whole header block; `dependsOn` is the stream it was made a child of, 0 if of none. */
  headers(streamId: number, endStream: boolean, block: Buffer, from: number, to: number, dependsOn: number): void;
  priority(streamId: number, dependsOn: number): void;
  reset(streamId: number, code: number): void;
  settings(payload: Buffer, from: number, to: number): void;
  settingsAcknowledged(): void;
  ping(payload: Buffer, from: number): void;
  pingAnswered(payload: Buffer, from: number): void;
  goingAway(streamId: number): void;
  windowUpdate(streamId: number, increment: number): void;
  /** A kind of frame nobody knows. */
  ignored(): void;
  /** Nothing more is wanted: the rest of the chunk is dropped. */
  readonly closed: boolean;
  /** Nothing more is wanted now: reading stops before the next frame. */
  readonly holdsBack: boolean;
}

export interface FrameLimits {
  /** The largest payload, as announced in our SETTINGS. */
  readonly frameBytesMax: number;
  /** Of one compressed header block over all its frames. */
  readonly headerBlockBytesMax: number;
}

/** More fragments than this are no way to send one header block. */
const continuationsMax = 64;

export class FrameReader {
  private readonly head = Buffer.alloc(frameHeaderBytes);
  private headLength = 0;

  // The frame being read, once its head is known.
  private inFrame = false;
  private type = 0;
  private flags = 0;
  private streamId = 0;
  /** Bytes of the payload still to come. */
  private left = 0;
  /** Of those, bytes of padding at the end. */
  private padding = 0;
  private padLengthDue = false;
  private skipping = false;
  private gathered: Buffer | undefined;
  private gatheredLength = 0;

  // The header block being read over several frames.
  private blockStreamId = 0;
  private blockEndStream = false;
  private blockDependsOn = 0;
  private block: Buffer | undefined;
  private blockLength = 0;
  private continuations = 0;
  private settingsSeen = false;
  private frameCount = 0;

  constructor(
    private readonly sink: FrameSink,
    private readonly limits: FrameLimits,
  ) {}

  /** A header block has begun and not ended, or a frame other than data is not whole yet. */
  get midway(): boolean {
    return this.blockStreamId !== 0 || this.headLength > 0 || (this.inFrame && this.type !== frameType.DATA);
  }

  /** The peer has sent its SETTINGS, as it must first. */
  get begun(): boolean {
    return this.settingsSeen;
  }

  /** Frames whose head has been read. */
  get frames(): number {
    return this.frameCount;
  }

  /**
   * Returns where it stopped: at the end of the chunk, unless the sink held it back.
   * @throws H2Failure when the connection can't go on
   */
  feed(chunk: Buffer, from = 0): number {
    const end = chunk.length;
    let at = from;
    while (at < end && !this.sink.closed && !this.sink.holdsBack) {
      if (!this.inFrame) {
        if (this.headLength === 0 && end - at >= frameHeaderBytes) {
          this.frameBegins(chunk, at);
          at += frameHeaderBytes;
        } else {
          const count = Math.min(frameHeaderBytes - this.headLength, end - at);
          chunk.copy(this.head, this.headLength, at, at + count);
          this.headLength += count;
          at += count;
          if (this.headLength < frameHeaderBytes) return at;
          this.headLength = 0;
          this.frameBegins(this.head, 0);
        }
        if (this.left > 0 && at === end) return at;
      }
      at = this.type === frameType.DATA ? this.readData(chunk, at, end) : this.readWhole(chunk, at, end);
    }
    return at;
  }

  private frameBegins(bytes: Buffer, at: number): void {
    const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const type = bytes[at + 3] ?? 0;
    const flags = bytes[at + 4] ?? 0;
    const streamId =
      (((bytes[at + 5] ?? 0) & 0x7f) << 24) |
      ((bytes[at + 6] ?? 0) << 16) |
      ((bytes[at + 7] ?? 0) << 8) |
      (bytes[at + 8] ?? 0);
    if (length > this.limits.frameBytesMax) {
      throw new H2Failure(h2Error.FRAME_SIZE_ERROR, `a frame of ${length} bytes, at most ${this.limits.frameBytesMax}`);
    }
    if (this.blockStreamId !== 0 && (type !== frameType.CONTINUATION || streamId !== this.blockStreamId)) {
      throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a header block was interrupted');
    }
    if (!this.settingsSeen) {
      if (type !== frameType.SETTINGS || (flags & flag.ACK) !== 0) {
        throw new H2Failure(h2Error.PROTOCOL_ERROR, 'the first frame is not SETTINGS');
      }
      this.settingsSeen = true;
    }
    this.frameCount += 1;
    this.inFrame = true;
    this.type = type;
    this.flags = flags;
    this.streamId = streamId;
    this.left = length;
    this.padding = 0;
    this.skipping = false;
    if (type === frameType.DATA) {
      this.padLengthDue = (flags & flag.PADDED) !== 0;
      if (this.padLengthDue && length === 0) throw new H2Failure(h2Error.FRAME_SIZE_ERROR, 'padding without a length');
      this.sink.dataBegins(streamId, length, (flags & flag.END_STREAM) !== 0);
    } else {
      this.checkLength(type, length);
    }
  }

  /** Frames of a fixed size have it; frames we don't read are skipped as they come. */
  private checkLength(type: number, length: number): void {
    let proper = true;
    switch (type) {
      case frameType.HEADERS:
      case frameType.CONTINUATION:
      case frameType.SETTINGS:
        break;
      case frameType.RST_STREAM:
      case frameType.WINDOW_UPDATE:
        proper = length === 4;
        break;
      case frameType.PING:
        proper = length === 8;
        break;
      case frameType.PRIORITY:
        proper = length === 5;
        break;
      case frameType.GOAWAY:
        proper = length >= 8;
        this.skipping = true;
        break;
      case frameType.PUSH_PROMISE:
        throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a client pushed');
      default:
        this.skipping = true;
    }
    if (!proper) throw new H2Failure(h2Error.FRAME_SIZE_ERROR, `frame type ${type} with ${length} bytes`);
  }

  private readData(chunk: Buffer, from: number, end: number): number {
    let at = from;
    if (this.padLengthDue) {
      this.padLengthDue = false;
      this.padding = chunk[at] ?? 0;
      at += 1;
      this.left -= 1;
      if (this.padding > this.left) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'more padding than frame');
    }
    const count = Math.min(this.left - this.padding, end - at);
    if (count > 0) {
      this.left -= count;
      this.sink.dataPiece(chunk, at, at + count);
      at += count;
    }
    if (this.left === this.padding && this.padding > 0) {
      const skipped = Math.min(this.left, end - at);
      this.left -= skipped;
      this.padding -= skipped;
      at += skipped;
    }
    if (this.left === 0) {
      this.inFrame = false;
      this.sink.dataEnds();
    }
    return at;
  }

  private readWhole(chunk: Buffer, from: number, end: number): number {
    const available = end - from;
    if (this.skipping) {
      const skipped = Math.min(this.left, available);
      this.left -= skipped;
      if (this.left === 0) {
        this.inFrame = false;
        if (this.type === frameType.GOAWAY) this.sink.goingAway(this.streamId);
        else this.sink.ignored();
      }
      return from + skipped;
    }
    if (this.gathered === undefined && available >= this.left) {
      const to = from + this.left;
      this.inFrame = false;
      this.frame(chunk, from, to);
      return to;
    }
    const gathered = (this.gathered ??= Buffer.allocUnsafeSlow(this.left));
    const count = Math.min(gathered.length - this.gatheredLength, available);
    chunk.copy(gathered, this.gatheredLength, from, from + count);
    this.gatheredLength += count;
    if (this.gatheredLength === gathered.length) {
      this.gathered = undefined;
      this.gatheredLength = 0;
      this.inFrame = false;
      this.frame(gathered, 0, gathered.length);
    }
    return from + count;
  }

  private frame(bytes: Buffer, from: number, to: number): void {
    switch (this.type) {
      case frameType.HEADERS:
        this.headersFrame(bytes, from, to);
        break;
      case frameType.CONTINUATION:
        this.continuationFrame(bytes, from, to);
        break;
      case frameType.PRIORITY:
        if (this.streamId === 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'PRIORITY on the connection');
        this.sink.priority(this.streamId, bytes.readUInt32BE(from) & 0x7fffffff);
        break;
      case frameType.RST_STREAM:
        this.sink.reset(this.streamId, bytes.readUInt32BE(from));
        break;
      case frameType.SETTINGS:
        if (this.streamId !== 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'SETTINGS on a stream');
        if ((this.flags & flag.ACK) === 0) {
          this.sink.settings(bytes, from, to);
        } else {
          if (to !== from) throw new H2Failure(h2Error.FRAME_SIZE_ERROR, 'an acknowledgement with settings');
          this.sink.settingsAcknowledged();
        }
        break;
      case frameType.PING:
        if (this.streamId !== 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'PING on a stream');
        if ((this.flags & flag.ACK) === 0) this.sink.ping(bytes, from);
        else this.sink.pingAnswered(bytes, from);
        break;
      case frameType.WINDOW_UPDATE:
        this.sink.windowUpdate(this.streamId, bytes.readUInt32BE(from) & 0x7fffffff);
        break;
    }
  }

  private headersFrame(bytes: Buffer, from: number, to: number): void {
    let at = from;
    let padding = 0;
    if (this.flags & flag.PADDED) {
      padding = bytes[at] ?? 0;
      at += 1;
    }
    const dependencyAt = at;
    if (this.flags & flag.PRIORITY) at += 5;
    if (at > to) throw new H2Failure(h2Error.FRAME_SIZE_ERROR, 'HEADERS too short for its flags');
    if (padding > to - at) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'more padding than frame');
    const blockEnd = to - padding;
    const dependsOn = at > dependencyAt ? bytes.readUInt32BE(dependencyAt) & 0x7fffffff : 0;
    const endStream = (this.flags & flag.END_STREAM) !== 0;
    if (this.streamId === 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'HEADERS on the connection');
    if (this.flags & flag.END_HEADERS) {
      this.sink.headers(this.streamId, endStream, bytes, at, blockEnd, dependsOn);
      return;
    }
    this.blockStreamId = this.streamId;
    this.blockEndStream = endStream;
    this.blockDependsOn = dependsOn;
    this.blockLength = 0;
    this.continuations = 0;
    this.keepFragment(bytes, at, blockEnd);
  }

  private continuationFrame(bytes: Buffer, from: number, to: number): void {
    if (this.blockStreamId === 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'CONTINUATION of nothing');
    this.continuations += 1;
    const last = (this.flags & flag.END_HEADERS) !== 0;
    if (this.continuations > continuationsMax || (to === from && !last)) {
      throw new H2Failure(h2Error.ENHANCE_YOUR_CALM, 'a flood of CONTINUATION');
    }
    this.keepFragment(bytes, from, to);
    if (!last) return;
    const block = this.block ?? Buffer.alloc(0);
    const streamId = this.blockStreamId;
    this.block = undefined;
    this.blockStreamId = 0;
    this.sink.headers(streamId, this.blockEndStream, block, 0, this.blockLength, this.blockDependsOn);
  }

  private keepFragment(bytes: Buffer, from: number, to: number): void {
    const length = this.blockLength + (to - from);
    if (length > this.limits.headerBlockBytesMax) {
      throw new H2Failure(h2Error.ENHANCE_YOUR_CALM, `a header block above ${this.limits.headerBlockBytesMax} bytes`);
    }
    if (this.block === undefined || this.block.length < length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.limits.headerBlockBytesMax, Math.max(1_024, 2 * length)));
      this.block?.copy(grown, 0, 0, this.blockLength);
      this.block = grown;
    }
    bytes.copy(this.block, this.blockLength, from, to);
    this.blockLength = length;
  }
}
