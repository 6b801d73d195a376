/**
 * What a log takes, at its end: a leader's drafts one by one, or whole records that a leader has written. And what it gives
 * up there again, as long as it is not committed.
 */
import { RecordKind, epoch as toEpoch, logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError, assert } from '@cometmq/shared';

import type { LogParts } from './log-parts.js';
import type { RecordPlace } from './log-reader.js';
import { eachReceived } from './received.js';
import { recordBytesCeiling } from './log-limits.js';
import { hasQueueHeader, isTransferredMessage, RecordBlock, headerBytesOf } from './record.js';
import type { RecordDraft } from './record.js';
import { clearBehind } from './recovery.js';

export class LogIntake {
  /** Of what is written next. */
  epoch = toEpoch(0);
  /** False: all that is written comes from a leader, whole. */
  takesDrafts = true;
  /** Where the records go that were promised room together. */
  private promised = { from: 0, to: 0 };
  // Of the parts, as every send comes by here.
  private readonly ends: LogParts['ends'];
  private readonly gathering: LogParts['gathering'];
  private readonly writer: LogParts['writer'];
  private readonly space: LogParts['space'];
  private readonly limits: LogParts['limits'];
  private readonly epochs: LogParts['epochs'];

  constructor(private readonly parts: LogParts) {
    this.ends = parts.ends;
    this.gathering = parts.gathering;
    this.writer = parts.writer;
    this.space = parts.space;
    this.limits = parts.limits;
    this.epochs = parts.epochs;
  }

  /** See `CommitLog.append`. */
  append(draft: RecordDraft): RecordPlace {
    let size = headerBytesOf(draft.kind);
    for (const chunk of draft.payload) size += chunk.byteLength;
    this.checkAppend(size, draft);
    const { epoch } = this;
    const position = this.gathering.put(draft, size, epoch);
    if (epoch > this.epochs.last) this.epochs.note(epoch, position);
    this.ends.appended = logPosition(position + size);
    this.writer.gathered();
    return { position, size };
  }

  /** See `CommitLog.appendBytes`. */
  appendBytes(bytes: Uint8Array): LogPosition {
    this.checkOpen();
    const { ends, gathering, epochs } = this;
    const block = new RecordBlock(bytes);
    const { salt } = this.parts.walk;
    const damaged = (): void => void (this.parts.receivedDamaged += 1);
    eachReceived(block, { from: ends.appended, epochMin: this.epoch, salt, damaged }, () => undefined);
    eachReceived(block, { from: ends.appended, epochMin: this.epoch, salt: undefined }, (at, size, epoch) => {
      epochs.note(epoch, ends.appended);
      this.epoch = epoch;
      gathering.putComplete(block, at, size);
      ends.appended = logPosition(ends.appended + size);
    });
    this.writer.gathered();
    return ends.appended;
  }

  /** See `CommitLog.truncate`. */
  async truncate(to: LogPosition): Promise<void> {
    this.checkOpen();
    const { segments, reader, walk, cache, durableNote } = this.parts;
    const { ends, gathering, epochs } = this;
    assert(to >= ends.committed && to <= ends.appended, 'what is committed stays');
    await this.writer.whileStill(async () => {
      const written = logPosition(Math.min(to, ends.durable));
      await durableNote.settle(written); // Before anything goes: else what went would be missed.
      const cut = await segments.cutBehind(written);
      const { active } = segments;
      for (const segment of cut) reader.forget(segment);
      await active.use((file) => clearBehind(file, written - active.first, active.fileBytes));
      walk.checked.to = Math.min(walk.checked.to, to);
      cache.cut(to);
      gathering.truncate(to, active.first);
      epochs.cut(to);
      this.epoch = epochs.last;
      ends.cut(to, new MqError('NOT_LEADER', 'this broker does not lead any more: what it wrote last is gone'));
    });
  }

  /** @throws MqError DISK_FAILED, UNAVAILABLE */
  checkOpen(): void {
    if (this.ends.failure) throw this.ends.failure;
    if (!this.writer.takes) throw new MqError('UNAVAILABLE', 'this broker is stopping');
  }

  /** See `CommitLog.checkRoom`. */
  checkRoom(bytes: number): void {
    this.checkTakes();
    this.checkBehind(bytes, true);
    const from = this.ends.appended;
    this.promised = { from, to: from + bytes };
  }

  /** See `CommitLog.checkSize`. */
  checkSize(kind: RecordKind, size: number): void {
    // The limit is for what others send. What the broker itself decides, for many at once, is never refused for its size, nor is
    // a message that another broker set took, and that says now where it was.
    const isTaken = isTransferredMessage(kind) || kind === RecordKind.transferredPending;
    const isSent = hasQueueHeader(kind) && !isTaken;
    const bytesMax = isSent ? this.limits.recordBytesMax : recordBytesCeiling;
    if (size > bytesMax) throw new MqError('MESSAGE_TOO_LARGE', `a record of ${size} bytes, at most ${bytesMax}`);
  }

  private checkAppend(size: number, { kind, reserved = false }: RecordDraft): void {
    this.checkTakes();
    this.checkSize(kind, size);
    // What a leader finds uncommitted is what the one before left: only its own first record commits it.
    if (kind === RecordKind.epochStart) return;
    this.checkBehind(size, reserved);
    if (this.space.full && !reserved) {
      throw new MqError('STORAGE_FULL', 'the disk is full: new messages are refused until space comes free');
    }
  }

  private checkTakes(): void {
    this.checkOpen();
    if (!this.takesDrafts) throw new MqError('NOT_LEADER', 'this broker does not lead: it writes what its leader does');
  }

  private checkBehind(bytes: number, reserved: boolean): void {
    const pendingMax = this.limits.pendingBytesMax * (reserved ? 2 : 1);
    const { appended, committed } = this.ends;
    if (appended - committed + bytes <= pendingMax) return;
    if (appended === committed) return; // What is larger than all that may wait would be told to try again for ever.
    const { from, to } = this.promised;
    if (appended >= from && appended + bytes <= to) return;
    throw new MqError('TOO_MANY_REQUESTS', `${pendingMax} bytes are waiting for the disk already`);
  }
}
