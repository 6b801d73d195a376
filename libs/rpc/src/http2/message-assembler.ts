/**
 * Puts gRPC messages together from pieces of data: | compressed u8 | length u32 big-endian | message |, again and again.
 *
 * A message that lies whole in one piece is passed on as part of it, uncopied. Any other is copied into blocks that
 * double in size as bytes arrive, whatever length was promised, and joined once it is whole. So an unfinished message
 * holds at most twice the bytes that came for it (4 KiB at least), in pieces of one byte too, and no byte is copied
 * more than twice.
 */
import { grpcStatus } from '../grpc-server.js';
import type { GrpcStatusCode } from '../grpc-server.js';
import type { ByteBudget } from './byte-budget.js';

export interface MessageReceiver {
  message(bytes: Uint8Array): void;
  /** The call can't go on; what comes after is dropped. */
  broken(status: GrpcStatusCode, reason: string): void;
}

const prefixBytes = 5;
const blockBytesMin = 4_096;
/** Below this a loop is faster than a native copy. */
const loopCopyBytesMax = 24;

export class MessageAssembler {
  private prefixLength = 0;
  private flags = 0;
  private size = 0;

  // The message being gathered: full blocks, and the last one in use.
  private gathering = false;
  private readonly blocks: Buffer[] = [];
  private last: Buffer | undefined;
  private lastLength = 0;
  private gathered = 0;
  private held = 0;
  private dead = false;

  constructor(
    private readonly receiver: MessageReceiver,
    private readonly messageBytesMax: number,
    private readonly budget: ByteBudget,
  ) {}

  /** A message has begun and not ended. */
  get midway(): boolean {
    return this.prefixLength > 0;
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
        this.gathering = true;
        at = this.gather(chunk, at, to);
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
    this.release();
    this.prefixLength = 0;
    if (whole !== undefined) this.receiver.message(whole);
  }

  private take(bytes: number): boolean {
    if (!this.budget.take(bytes)) {
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
    this.budget.give(this.held);
    this.held = 0;
    this.blocks.length = 0;
    this.last = undefined;
    this.lastLength = 0;
    this.gathered = 0;
    this.gathering = false;
  }
}
