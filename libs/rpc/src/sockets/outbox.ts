/**
 * What a connection is about to send. All frames of one turn of the event loop become one write to the socket, and
 * while a write is under way the next one gathers.
 *
 *   small things are copied into the open block; large ones are referred to, between the parts of blocks around them,
 *   unless they are only lent for the moment
 *
 * The limit of 4 KiB between the two: copying 1 KiB costs less than one more entry of a `writev`.
 */
import type { Socket } from 'node:net';

import type { FrameOut } from '../http2/frame-writer.js';
import type { MemoryAccount } from '../memory/memory-account.js';

const blockBytes = 64 * 1_024;
const copyBytesMax = 4_096;
const poolBlocksMax = 64;

/** Blocks to write into, shared by the connections of a server; one is in use only until its bytes are written. */
export class BlockPool {
  private readonly free: Buffer[] = [];

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
  }

  give(block: Buffer): void {
    if (this.free.length < poolBlocksMax) this.free.push(block);
  }
}

export interface OutboxOwner {
  /** The first bytes since the last flush: `flush` shall be called at the end of this turn. */
  flushDue(): void;
  /** A write has ended; there may be room again. */
  written(bytes: number): void;
}

export class Outbox implements FrameOut {
  private block: Buffer | undefined;
  private partFrom = 0;
  private at = 0;
  private parts: Uint8Array[] = [];
  private blocks: Buffer[] = [];
  private flying: Buffer[] = [];
  private gatheredBytes = 0;
  private flyingBytes = 0;
  private dropped = false;
  private readonly onWritten = (): void => this.writeEnded();

  constructor(
    private readonly socket: Socket,
    private readonly pool: BlockPool,
    private readonly owner: OutboxOwner,
    private readonly memory: MemoryAccount,
  ) {}

  /** Bytes gathered or given to the socket, and not yet with the operating system. */
  get pendingBytes(): number {
    return this.gatheredBytes + this.flyingBytes;
  }

  /** True while the socket has not taken what it was given last. */
  get busy(): boolean {
    return this.flyingBytes > 0;
  }

  /** A block with room for `bytes` from `offset` on. What was written there is made known by `advance`. */
  reserve(bytes: number): Buffer {
    if (this.block === undefined || this.at + bytes > this.block.length) this.openBlock(bytes);
    return this.block ?? Buffer.alloc(0);
  }

  get offset(): number {
    return this.at;
  }

  advance(to: number): void {
    if (this.gatheredBytes === 0 && !this.busy) this.owner.flushDue();
    this.gatheredBytes += to - this.at;
    this.at = to;
  }

  /** `bytes[from, to)`; not to be changed until written. */
  append(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length <= copyBytesMax) {
      const block = this.reserve(length);
      block.set(length === bytes.length ? bytes : bytes.subarray(from, to), this.at);
      this.advance(this.at + length);
    } else {
      this.closePart();
      this.parts.push(length === bytes.length ? bytes : bytes.subarray(from, to));
      if (this.gatheredBytes === 0 && !this.busy) this.owner.flushDue();
      this.gatheredBytes += length;
    }
  }

  /** All of `bytes`, which may be changed as soon as this returns: blocks are used again, and cost no garbage. */
  copy(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const block = this.reserve(1);
      const count = Math.min(bytes.length - from, block.length - this.at);
      block.set(count === bytes.length ? bytes : bytes.subarray(from, from + count), this.at);
      this.advance(this.at + count);
      from += count;
    }
  }

  /** Gives the socket all that has gathered, unless it is still busy: then that happens when it has done. */
  flush(): void {
    if (this.busy || this.gatheredBytes === 0) return;
    this.closePart();
    const parts = this.parts;
    this.parts = [];
    if (this.block !== undefined) this.blocks.push(this.block);
    this.block = undefined;
    this.flying = this.blocks;
    this.blocks = [];
    this.flyingBytes = this.gatheredBytes;
    this.gatheredBytes = 0;
    this.memory.add(this.flyingBytes);
    const last = parts.length - 1;
    if (last > 0) this.socket.cork();
    for (let i = 0; i <= last; i += 1) {
      const part = parts[i];
      if (part === undefined) continue;
      if (i === last) this.socket.write(part, this.onWritten);
      else this.socket.write(part);
    }
    if (last > 0) this.socket.uncork();
  }

  private openBlock(bytes: number): void {
    this.closePart();
    if (this.block !== undefined) this.blocks.push(this.block);
    this.block = bytes <= blockBytes ? this.pool.take() : Buffer.allocUnsafeSlow(bytes);
    this.at = 0;
    this.partFrom = 0;
  }

  private closePart(): void {
    if (this.block === undefined || this.at === this.partFrom) return;
    this.parts.push(this.block.subarray(this.partFrom, this.at));
    this.partFrom = this.at;
  }

  /** The socket is gone: what it had is no longer held. */
  drop(): void {
    this.memory.give(this.flyingBytes);
    this.flyingBytes = 0;
    this.gatheredBytes = 0;
    this.parts = [];
    this.dropped = true;
  }

  private writeEnded(): void {
    if (this.dropped) return;
    const bytes = this.flyingBytes;
    this.memory.give(bytes);
    for (const block of this.flying) if (block.length === blockBytes) this.pool.give(block);
    this.flying = [];
    this.flyingBytes = 0;
    this.owner.written(bytes);
    this.flush();
  }
}
