/**
 * Whether a connection goes on: what was heard, written and begun when, and what follows from it. Decides only; looked at
 * about once a second.
 */
import type { FrontDoorLimits } from './limits.js';

/** How things are at a look. */
export interface LivenessFacts {
  readonly nowMs: number;
  /** The socket has not taken what it was given. */
  readonly socketBusy: boolean;
  /** Frames read so far. */
  readonly frames: number;
  /** A frame or header block has begun, or the first SETTINGS are still to come. */
  readonly midway: boolean;
  readonly callsOpen: boolean;
  /** Since when a ping is out. */
  readonly pingOutMs: number | undefined;
}

export type LivenessVerdict =
  | 'fine'
  /** Nothing was heard for a while: a ping is due. */
  | 'ask'
  /** The peer takes nothing of what is sent. */
  | 'stalled'
  /** It did not finish what it began. */
  | 'slow'
  /** Nobody needs the connection. */
  | 'idle'
  /** A ping was not answered, nor anything else heard. */
  | 'silent';

export class Liveness {
  private heardMs: number;
  private activeMs: number;
  private writtenMs: number;
  private midwaySinceMs: number | undefined;
  private framesSeen = -1;
  private pongs = 0;

  constructor(
    private readonly limits: FrontDoorLimits,
    nowMs: number,
  ) {
    this.heardMs = nowMs;
    this.activeMs = nowMs;
    this.writtenMs = nowMs;
  }

  /** Bytes have come. */
  heard(nowMs: number): void {
    this.heardMs = nowMs;
  }

  /** This process did nothing for a while: what has come and gone meanwhile is yet to be seen. */
  stoodStill(nowMs: number): void {
    this.heardMs = this.writtenMs = nowMs;
    if (this.midwaySinceMs !== undefined) this.midwaySinceMs = nowMs;
  }

  /** The socket has taken what it had. */
  written(nowMs: number): void {
    this.writtenMs = nowMs;
  }

  /** An answer to a ping of ours: a sign of life, and no activity. */
  ponged(): void {
    this.pongs += 1;
  }

  look({ nowMs, socketBusy, frames, midway, callsOpen, pingOutMs }: LivenessFacts): LivenessVerdict {
    const { limits } = this;
    if (!socketBusy) this.writtenMs = nowMs;
    const moved = frames - this.pongs !== this.framesSeen;
    this.framesSeen = frames - this.pongs;
    if (moved || callsOpen) this.activeMs = nowMs;
    if (moved || !midway) this.midwaySinceMs = midway ? nowMs : undefined;
    if (nowMs - this.writtenMs > limits.stalledMs) return 'stalled';
    if (this.midwaySinceMs !== undefined && nowMs - this.midwaySinceMs > limits.greetingMs) return 'slow';
    if (nowMs - this.activeMs > limits.idleMs) return 'idle';
    if (pingOutMs === undefined) return nowMs - this.heardMs >= limits.quietMs ? 'ask' : 'fine';
    return nowMs - Math.max(pingOutMs, this.heardMs) > limits.pingAnswerMs ? 'silent' : 'fine';
  }
}
