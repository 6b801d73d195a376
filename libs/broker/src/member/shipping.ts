/**
 * A leader's log on its way to those who follow, as steps: no socket and no clock. Batches go to followers at the moment
 * they set out for the leader's own disk, the same memory for all of them; who lags behind is read for from the disk.
 *
 *   follower:  acked ≤ next        next − acked ≤ window + one batch
 *   leader:    next ≤ cut end      the newest batches stay in memory, up to `recentBytes`
 *
 * What a slow follower leaves unacknowledged is bounded by its window, here and there, whatever else is written. Nothing is
 * watched before somebody comes, nor when the last one has gone.
 */
import type { LogBytes } from '@cometmq/client';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { Replication } from '@cometmq/store';

export type ShippedLog = Pick<
  Replication,
  'appendEnd' | 'durableEnd' | 'oldest' | 'readBytes' | 'onCut' | 'whenDurable'
>;

export interface ShippingLimits {
  /** What may be on its way to a follower, or wait for its disk. */
  readonly windowBytes: number;
  /** Read from the disk at a time. */
  readonly readBytes: number;
  /** The newest batches, kept for whoever is a little behind. */
  readonly recentBytes: number;
}

const MiB = 1024 * 1024;
export const shippingLimits: ShippingLimits = { windowBytes: 8 * MiB, readBytes: 1 * MiB, recentBytes: 8 * MiB };

/** Where the log goes. */
export interface ShipTo {
  batch(bytes: LogBytes): void;
  snapshotNeeded(oldest: LogPosition): void;
  readonly hasRoom: boolean;
  /** The log can't be read. */
  failed(error: MqError): void;
}

/** Of one term. */
export class Shipping {
  private readonly shipments = new Set<Shipment>();
  private readonly recent: RecentBatches;
  private unwatch: (() => void) | undefined;
  private waiting = false;

  constructor(
    private readonly log: ShippedLog,
    private readonly limits = shippingLimits,
  ) {
    this.recent = new RecentBatches(limits.recentBytes);
    this.watch();
  }

  /** Nobody comes any more. */
  end(): void {
    this.unwatch?.();
    this.unwatch = undefined;
    this.recent.clear();
  }

  private watch(): void {
    this.unwatch ??= this.log.onCut((batch) => {
      this.recent.add(batch);
      for (const each of this.shipments) each.cut(batch);
    });
  }

  /** Sends what stands from `from` on, which is no further than what has been written. */
  begin(from: LogPosition, to: ShipTo): Shipment {
    this.watch();
    const shipment = new Shipment(this, this.log, this.recent, this.limits, from, to);
    this.shipments.add(shipment);
    shipment.goOn();
    return shipment;
  }

  ended(shipment: Shipment): void {
    if (this.shipments.delete(shipment) && this.shipments.size === 0) this.end();
  }

  /** What stands at `position` was cut before anybody watched, and is on its way to the disk; or is yet to come. */
  awaitDisk(position: LogPosition): void {
    if (this.waiting) return;
    this.waiting = true;
    const goOn = (): void => {
      this.waiting = false;
      for (const each of this.shipments) each.goOn();
    };
    // It never comes where it can't become durable any more: the term is over then.
    this.log.whenDurable((position + 1) as LogPosition, goOn, () => undefined);
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
    private readonly recent: RecentBatches,
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

  /** A batch sets out for the disk: who has all before it gets it now. */
  cut(batch: LogBytes): void {
    if (batch.from === this.next && !this.reading && this.hasRoom) this.send(batch);
  }

  goOn(): void {
    while (!this.over && !this.reading && this.hasRoom) {
      const batch = this.recent.from(this.next);
      if (batch) this.send(batch);
      else if (this.next < this.log.durableEnd) void this.read();
      else {
        if (this.recent.end !== this.next) this.shipping.awaitDisk(this.next);
        return;
      }
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
      bytes = await this.log.readBytes(from, this.limits.readBytes);
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

/** The newest batches in order, one behind the other. */
class RecentBatches {
  private row: LogBytes[] = [];
  private bytes = 0;

  constructor(private readonly bytesMax: number) {}

  add(batch: LogBytes): void {
    this.row.push(batch);
    this.bytes += batch.end - batch.from;
    let gone = 0;
    while (this.bytes > this.bytesMax && gone < this.row.length - 1) {
      const oldest = this.row[gone] as LogBytes;
      this.bytes -= oldest.end - oldest.from;
      gone += 1;
    }
    if (gone > 0) this.row = this.row.slice(gone);
  }

  /** The one that begins here. */
  from(position: LogPosition): LogBytes | undefined {
    for (let i = this.row.length - 1; i >= 0; i -= 1) {
      const batch = this.row[i] as LogBytes;
      if (batch.from <= position) return batch.from === position ? batch : undefined;
    }
    return undefined;
  }

  /** Where the next one begins; undefined: there was none yet. */
  get end(): LogPosition | undefined {
    return this.row.at(-1)?.end;
  }

  clear(): void {
    this.row = [];
    this.bytes = 0;
  }
}
