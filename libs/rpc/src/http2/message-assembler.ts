/**
 * Puts gRPC messages together from pieces of data: | compressed u8 | length u32 big-endian | message |, again and again.
 *
 * A message that lies whole in one piece is passed on as part of it, uncopied. A large one is announced first (`admit`):
 * once there is room for it, it gets its memory at once and each byte is copied once. Any other, and what comes of a large
 * one before it is admitted, is copied into blocks that double in size as bytes arrive, whatever length was promised, and
 * joined once it is whole. So a message that was not admitted holds at most twice the bytes that came for it (4 KiB at
 * least), in pieces of one byte too, and no byte is copied more than twice.
 */
import { grpcStatus } from '../grpc-server.js';
import type { GrpcStatusCode } from '../grpc-server.js';
import type { MemoryAccount } from '../memory/memory-account.js';

export interface MessageReceiver {
  /** A large message begins. True: its bytes are taken for it. False: not yet; then comes `admitted`, or never. */
  admit(bytes: number): boolean;
  /** It is whole without having been admitted. */
  withdraw(): void;
  message(bytes: Uint8Array): void;
  /** The call can't go on; what comes after is dropped. */
  broken(status: GrpcStatusCode, reason: string): void;
}

const prefixBytes = 5;
/** A larger message is announced. */
export const smallMessageBytesMax = 65_536;
const blockBytesMin = 4_096;
/** Below this a loop is faster than a native copy. */
const loopCopyBytesMax = 24;

export class MessageAssembler {
  /** Messages that have begun. */
  begun = 0;
  private prefixLength = 0;
  private flags = 0;
  private size = 0;

  // The message being gathered: full blocks, and the last one in use.
  private gathering = false;
  private readonly blocks: Buffer[] = [];
  private last: Buffer | undefined;
  private lastLength = 0;
  /** All of an admitted message. */
  private whole: Buffer | undefined;
  private waiting = false;
  private gathered = 0;
  private held = 0;
  private dead = false;

  constructor(
    private readonly receiver: MessageReceiver,
    private readonly messageBytesMax: number,
    private readonly memory: MemoryAccount,
  ) {}

  /** A message has begun and not ended. */
  get midway(): boolean {
    return this.prefixLength > 0;
  }

  /** Bytes that have come of the message that is under way. */
  get bytes(): number {
    return this.gathered;
  }

  /** SegmentSpace has been found for the message that waits. */
  admitted(): void {
    if (this.dead || !this.waiting) return;
    this.waiting = false;
    const whole = Buffer.allocUnsafeSlow(this.size);
    let at = 0;
    for (const block of this.blocks) at += block.copy(whole, at);
    this.last?.copy(whole, at, 0, this.lastLength);
    this.letGoOfBlocks();
    this.whole = whole;
  }

  push(chunk: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to && !this.dead) {
      if (this.prefixLength < prefixBytes) {
        at = this.readPrefix(chunk, at, to);
        if (this.prefixLength < prefixBytes || this.dead) continue; // Cut short, or an empty message that is done.
      }
      if (!this.gathering && to - at >= this.size) {
        const end = at + this.size;
        this.prefixLength = 0;
        this.receiver.message(chunk.subarray(at, end));
        at = end;
      } else {
        if (!this.gathering) this.begin();
        at = this.whole === undefined ? this.gather(chunk, at, to) : this.fill(this.whole, chunk, at, to);
      }
    }
  }

  /** Gives back what is held; nothing more is passed on. */
  drop(): void {
    this.dead = true;
    this.release();
  }

  private readPrefix(chunk: Buffer, from: number, to: number): number {
    let at = from;
    if (this.prefixLength === 0) {
      this.flags = chunk[at] ?? 0;
      at += 1;
      this.prefixLength = 1;
      this.size = 0;
      this.begun += 1;
    }
    while (this.prefixLength < prefixBytes && at < to) {
      this.size = this.size * 256 + (chunk[at] ?? 0);
      at += 1;
      this.prefixLength += 1;
    }
    if (this.prefixLength < prefixBytes) return at;
    if (this.flags === 1) {
      this.break(grpcStatus.UNIMPLEMENTED, 'compressed messages are not supported; send grpc-encoding: identity');
    } else if (this.flags !== 0) {
      this.break(grpcStatus.INTERNAL, `message flags ${this.flags}: 0 is allowed`);
    } else if (this.size > this.messageBytesMax) {
      this.break(grpcStatus.RESOURCE_EXHAUSTED, `a message of ${this.size} bytes: at most ${this.messageBytesMax}`);
    } else if (this.size === 0) {
      // Nothing will follow that could set it free.
      this.prefixLength = 0;
      this.receiver.message(chunk.subarray(at, at));
    }
    return at;
  }

  private begin(): void {
    this.gathering = true;
    if (this.size <= smallMessageBytesMax) return;
    if (this.receiver.admit(this.size)) this.whole = Buffer.allocUnsafeSlow(this.size);
    else this.waiting = true;
  }

  private fill(whole: Buffer, chunk: Buffer, from: number, to: number): number {
    const end = from + Math.min(to - from, this.size - this.gathered);
    chunk.copy(whole, this.gathered, from, end);
    this.gathered += end - from;
    if (this.gathered === this.size) this.pass(whole);
    return end;
  }

  private gather(chunk: Buffer, from: number, to: number): number {
    let at = from;
    const end = at + Math.min(to - at, this.size - this.gathered);
    while (at < end) {
      if (this.last === undefined || this.lastLength === this.last.length) {
        if (!this.addBlock(end - at)) return to;
      }
      const block = this.last;
      if (block === undefined) return to;
      const count = Math.min(end - at, block.length - this.lastLength);
      if (count <= loopCopyBytesMax) {
        for (let i = 0; i < count; i += 1) block[this.lastLength + i] = chunk[at + i] ?? 0;
      } else {
        chunk.copy(block, this.lastLength, at, at + count);
      }
      this.lastLength += count;
      this.gathered += count;
      at += count;
    }
    if (this.gathered === this.size) this.finish();
    return at;
  }

  private addBlock(arriving: number): boolean {
    const bytes = Math.min(this.size - this.gathered, Math.max(blockBytesMin, this.gathered, arriving));
    if (!this.take(bytes)) return false;
    if (this.last !== undefined) this.blocks.push(this.last);
    this.last = Buffer.allocUnsafeSlow(bytes);
    this.lastLength = 0;
    return true;
  }

  private finish(): void {
    let whole = this.last;
    if (this.blocks.length > 0 && whole !== undefined) {
      this.blocks.push(whole);
      if (!this.take(this.size)) return;
      whole = Buffer.allocUnsafeSlow(this.size);
      let at = 0;
      for (const block of this.blocks) at += block.copy(whole, at);
    }
    if (this.waiting) this.receiver.withdraw();
    if (whole !== undefined) this.pass(whole);
  }

  private pass(message: Buffer): void {
    this.release();
    this.prefixLength = 0;
    this.receiver.message(message);
  }

  private take(bytes: number): boolean {
    if (!this.memory.take(bytes)) {
      this.break(grpcStatus.RESOURCE_EXHAUSTED, 'too many bytes of unfinished messages are held; try again');
      return false;
    }
    this.held += bytes;
    return true;
  }

  private break(status: GrpcStatusCode, reason: string): void {
    this.drop();
    this.receiver.broken(status, reason);
  }

  private release(): void {
    this.letGoOfBlocks();
    this.whole = undefined;
    this.waiting = false;
    this.gathered = 0;
    this.gathering = false;
  }

  private letGoOfBlocks(): void {
    this.memory.give(this.held);
    this.held = 0;
    this.blocks.length = 0;
    this.last = undefined;
    this.lastLength = 0;
  }
}
