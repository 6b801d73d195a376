/**
 * What a peer may make us do beside moving messages. Each frame that moves none has a price, about what it costs us; a
 * connection has a burst, gets so much a second, and earns more with every frame of data sent to it. For that is when
 * honest clients send such frames: those on gRPC's C core answer each piece of data with window updates and pings.
 *
 * All connections of an address share a larger account, so that a burst is not to be had again by connecting anew. When
 * that one is used up, only those connections are ended that have a part in it.
 */
import { H2Failure, h2Error } from '../http2/constants.js';
import type { Allowance } from '../sockets/allowance.js';

/** In quarters of a microsecond, roughly. */
export const effort = {
  windowUpdate: 1,
  ping: 2,
  settings: 4,
  /** For each open call whose window SETTINGS change. */
  settingsOfCall: 0.25,
  /** A call begun for nothing, or refused. */
  reset: 10,
  refusal: 10,
  /** Of a call that has ended: the peer could not know. */
  late: 1,
  /** A frame of data with next to nothing in it. */
  smallData: 1,
  emptyData: 4,
  /** PRIORITY, kinds of frame nobody knows, answers to nothing. */
  idle: 1,
  /** Per KiB of a long list of headers. */
  headerKiB: 1,
} as const;

const earnedByDataFrame = 4;
/** Of its own burst; who has spent no more is not made to answer for others of its address. */
const innocentShare = 0.1;

export class Effort {
  private framesPaid = 0;

  constructor(
    private readonly own: Allowance,
    private readonly ofAddress: Allowance,
    private readonly sent: { readonly dataFrames: number },
  ) {}

  /** @throws H2Failure when it is too much; `what` says of which, in the plural. */
  spend(price: number, what: string, nowMs: number): void {
    const frames = this.sent.dataFrames - this.framesPaid;
    if (frames > 0) {
      this.framesPaid += frames;
      this.own.earn(frames * earnedByDataFrame);
      this.ofAddress.earn(frames * earnedByDataFrame);
    }
    const within = this.own.spend(price, nowMs);
    const addressWithin = this.ofAddress.spend(price, nowMs);
    if (within && (addressWithin || this.own.available(nowMs) >= this.own.burst * (1 - innocentShare))) return;
    throw new H2Failure(h2Error.ENHANCE_YOUR_CALM, `too many ${what}`);
  }
}
