import { MqError } from '@cometmq/shared';

import { HandleSigner, readU53, writeU53 } from './signed-handle.js';
import type { Epoch, GroupId, LogPosition, QueueId, QueueOffset, TopicId } from './units.js';

/**
 * A receipt names one delivery of one message: what a client gives back to acknowledge it. The delivery's lease is
 * (epoch, position) of the delivery record, so any proxy and any later leader can honour it.
 */
export interface Receipt {
  /** The broker set that holds the message. */
  readonly broker: string;
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
  readonly leaseEpoch: Epoch;
  readonly leasePosition: LogPosition;
  /** The group's reset generation at the delivery: after a reset, older receipts have no effect. */
  readonly generation: number;
  /** Which delivery this is, from 1. */
  readonly attempt: number;
}

const version = 1;
const fixedBytes = 47;

/**
 * Writes receipts as handles and reads them back: base64url of
 *
 *   | version u8 | generation u16 | attempt u16 | groupId u32 | topicId u32 | queueId u32 | offset u64 | epoch u32 |
 *   | position u64 | reserved u8 × 10 | broker name |
 *
 * little-endian and signed: a handle can't be made up.
 */
export class ReceiptHandles {
  private readonly signer: HandleSigner;

  constructor(secret: Uint8Array) {
    this.signer = new HandleSigner(secret);
  }

  write(receipt: Receipt): string {
    const name = Buffer.from(receipt.broker, 'utf8');
    const out = this.signer.room(fixedBytes + name.length);
    out.fill(0, 37, fixedBytes);
    out[0] = version;
    out.writeUInt16LE(receipt.generation & 0xffff, 1);
    out.writeUInt16LE(Math.min(receipt.attempt, 0xffff), 3);
    out.writeUInt32LE(receipt.groupId, 5);
    out.writeUInt32LE(receipt.topicId, 9);
    out.writeUInt32LE(receipt.queueId, 13);
    writeU53(out, receipt.offset, 17);
    out.writeUInt32LE(receipt.leaseEpoch, 25);
    writeU53(out, receipt.leasePosition, 29);
    out.set(name, fixedBytes);
    return this.signer.seal(out);
  }

  /** @throws MqError INVALID_RECEIPT_HANDLE for anything this cluster did not write. */
  read(handle: string): Receipt {
    const bytes = this.signer.open(handle);
    if (!bytes || bytes.length < fixedBytes + 1 || bytes[0] !== version) throw invalid();
    return {
      generation: bytes.readUInt16LE(1),
      attempt: bytes.readUInt16LE(3),
      groupId: bytes.readUInt32LE(5) as GroupId,
      topicId: bytes.readUInt32LE(9) as TopicId,
      queueId: bytes.readUInt32LE(13) as QueueId,
      offset: readU53(bytes, 17) as QueueOffset,
      leaseEpoch: bytes.readUInt32LE(25) as Epoch,
      leasePosition: readU53(bytes, 29) as LogPosition,
      broker: bytes.toString('utf8', fixedBytes),
    };
  }
}

function invalid(): MqError {
  return new MqError('INVALID_RECEIPT_HANDLE', 'the receipt handle was not issued by this cluster');
}
