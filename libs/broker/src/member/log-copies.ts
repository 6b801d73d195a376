/** What other members take of this one's log: a candidate all that it lacks, others a snapshot or damaged records anew. */
import type { FetchedPart, FetchRequest, PeerDigest } from '@cometmq/client';
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { MemberSelf } from './member-self.js';

const fetchBytes = 1024 * 1024;

export class LogCopies {
  constructor(private readonly self: MemberSelf) {}

  async *fetch({ candidate, epoch, log }: FetchRequest): AsyncIterable<FetchedPart> {
    const { store } = this.self.parts;
    const check = (): void => {
      const { promised } = this.self.notes;
      if (promised.epoch === epoch && promised.to === candidate) return;
      throw new MqError('CONFLICT', `epoch ${promised.epoch} was promised meanwhile`);
    };
    this.checkOpen();
    check();
    const commonEnd = store.replication.commonEnd(log.epochs, log.end);
    yield { commonEnd, from: commonEnd, bytes: new Uint8Array(0) };
    for (let from = commonEnd; from < store.appendEnd;) {
      check();
      const bytes = await store.replication.readBytes(from, fetchBytes);
      if (!bytes || bytes.byteLength === 0)
        throw new MqError('NOT_FOUND', `position ${from} is not kept here any more`);
      check();
      yield { commonEnd, from, bytes };
      from = (from + bytes.byteLength) as LogPosition;
    }
  }

  snapshot(epoch: Epoch): AsyncIterable<Uint8Array> {
    if (this.self.leading?.epoch !== epoch) {
      throw new MqError('CONFLICT', `this member does not lead with epoch ${epoch}`);
    }
    return this.self.parts.store.snapshots.stream();
  }

  segmentBytes(from: LogPosition, end: LogPosition, uncommitted?: boolean): AsyncIterable<Uint8Array> {
    this.checkOpen();
    return this.self.parts.store.repairs.records(from, end, uncommitted);
  }

  async digest(from: LogPosition, end: LogPosition): Promise<PeerDigest> {
    this.checkOpen();
    const { repairs } = this.self.parts.store;
    return { wholeFrom: repairs.wholeFrom, digest: await repairs.digest(from, end) };
  }

  /** The others may ask as soon as it listens, which is before its log is open. */
  private checkOpen(): void {
    if (!this.self.isOpened) throw new MqError('UNAVAILABLE', 'this member is not ready');
  }
}
