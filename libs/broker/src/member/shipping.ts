/**
 * A leader's log on its way to those who follow, as steps: no socket and no clock. Batches go to followers at the moment
 * they set out for the leader's own disk, out of the memory that the log itself keeps; who lags behind that is read for from
 * the disk.
 *
 *   follower:  acked ≤ next        next − acked ≤ window + one message
 *   leader:    next ≤ cut end
 *
 * What a slow follower leaves unacknowledged is bounded by its window, here and there, whatever else is written; what has
 * gathered meanwhile goes in few large messages. The log's memory is only looked at, never lent: memory that somebody may
 * still hold can't be used again, and a new piece for every MiB of messages cost more than all else that shipping does.
 * Nothing is watched before somebody comes, nor when the last one has gone.
 */
import type { LogBytes } from '@cometmq/client';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { Replication } from '@cometmq/store';

export type ShippedLog = Pick<Replication, 'appendEnd' | 'durableEnd' | 'oldest' | 'readBytes' | 'peekCut' | 'onCut'>;

export interface ShippingLimits {
  /** What may be on its way to a follower, or wait for its disk. */
  readonly windowBytes: number;
  /** Of the log in one message, which fits one frame. */
  readonly messageBytes: number;
}

const MiB = 1024 * 1024;
export const shippingLimits: ShippingLimits = { windowBytes: 8 * MiB, messageBytes: MiB - 1024 };

/** Where the log goes. */
export interface ShipTo {
  /** The bytes are there during the call only. */
  batch(bytes: LogBytes): void;
  snapshotNeeded(oldest: LogPosition): void;
  readonly hasRoom: boolean;
  /** The log can't be read. */
  failed(error: MqError): void;
}

/** Of one term. */
export class Shipping {
  private readonly shipments = new Set<Shipment>();
  private unwatch: (() => void) | undefined;

  constructor(
    private readonly log: ShippedLog,
    private readonly limits = shippingLimits,
  ) {}

  /** Nobody comes any more. */
  end(): void {
    this.unwatch?.();
    this.unwatch = undefined;
  }

  /** Sends what stands from `from` on, which is no further than what has been written. */
  begin(from: LogPosition, to: ShipTo): Shipment {
    this.unwatch ??= this.log.onCut(() => {
      for (const each of this.shipments) each.goOn();
    });
    const shipment = new Shipment(this, this.log, this.limits, from, to);
    this.shipments.add(shipment);
    shipment.goOn();
    return shipment;
  }

  ended(shipment: Shipment): void {
    if (this.shipments.delete(shipment) && this.shipments.size === 0) this.end();
  }
}

/** To one follower, in one session. */
export class Shipment {
  private next: LogPosition;
  private acked: LogPosition;
  private reading = false;
  private over = false;

  constructor(
    private readonly shipping: Shipping,
    private readonly log: ShippedLog,
    private readonly limits: ShippingLimits,
    from: LogPosition,
    private readonly to: ShipTo,
  ) {
    this.next = this.acked = from;
  }

  /** @throws MqError BAD_REQUEST where that much was never sent */
  ack(end: LogPosition): void {
    if (end > this.next) {
      throw new MqError('BAD_REQUEST', `position ${end} was acknowledged, and nothing behind ${this.next} was sent`);
    }
    if (end <= this.acked) return;
    this.acked = end;
    this.goOn();
  }

  /** The stream takes more. */
  drained(): void {
    this.goOn();
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.shipping.ended(this);
  }

  /** There is more to send, or more room for it. */
  goOn(): void {
    while (!this.over && !this.reading && this.hasRoom) {
      const batch = this.log.peekCut(this.next, this.limits.messageBytes);
      if (batch) this.send(batch);
      else if (this.next < this.log.durableEnd) void this.read();
      else return; // The rest is yet to be cut.
    }
  }

  private get hasRoom(): boolean {
    return !this.over && this.next - this.acked < this.limits.windowBytes && this.to.hasRoom;
  }

  private send(batch: LogBytes): void {
    this.next = batch.end;
    this.to.batch(batch);
  }

  private async read(): Promise<void> {
    this.reading = true;
    const from = this.next;
    let bytes: Uint8Array | undefined;
    try {
      bytes = await this.log.readBytes(from, this.limits.messageBytes);
    } catch (caught) {
      const error = MqError.from(caught);
      if (!this.over) this.to.failed(error);
      this.end();
      return;
    }
    if (this.over) return;
    if (bytes === undefined) {
      this.to.snapshotNeeded(this.log.oldest);
      this.end();
      return;
    }
    this.reading = false;
    if (bytes.length > 0) this.send({ from, end: (from + bytes.length) as LogPosition, pieces: [bytes] });
    this.goOn();
  }
}
