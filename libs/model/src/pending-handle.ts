import { MqError } from '@cometmq/shared';

import { HandleSigner, readU53, writeU53 } from './signed-handle.js';
import type { LogPosition, TopicId } from './units.js';

/** A message that no queue shows yet, in the log of its broker set. */
export interface PendingPlace {
  readonly topicId: TopicId;
  readonly position: LogPosition;
  /** Of the whole record. */
  readonly size: number;
  /** When a delayed message was due as it was sent; 0: half of a transaction. */
  readonly dueMs: number;
  /** The broker set in whose log it stood there; left out: the one that is asked. */
  readonly from?: string | undefined;
}

/** A pending message and the broker set that holds it: what the clients' recall handles and transaction ids name. */
export interface PendingHandle {
  readonly broker: string;
  readonly place: PendingPlace;
}

/** The first byte of a handle, so that one kind is never taken for another. Receipts have 1. */
const kinds = { recall: 2, transaction: 3 } as const;
const fixedBytes = 25;

/**
 * Writes recall handles and transaction ids, and reads them back:
 * | kind u8 | topicId u32 | position u64 | size u32 | due u64 | broker name |, little-endian and signed.
 */
export class PendingHandles {
  private readonly signer: HandleSigner;

  constructor(secret: Uint8Array) {
    this.signer = new HandleSigner(secret);
  }

  write(kind: keyof typeof kinds, { broker, place }: PendingHandle): string {
    const nameBytes = Buffer.byteLength(broker, 'utf8');
    const out = this.signer.room(fixedBytes + nameBytes);
    out[0] = kinds[kind];
    out.writeUInt32LE(place.topicId, 1);
    writeU53(out, place.position, 5);
    out.writeUInt32LE(place.size, 13);
    writeU53(out, place.dueMs, 17);
    out.write(broker, fixedBytes, nameBytes, 'utf8');
    return this.signer.seal(out);
  }

  /** @throws MqError BAD_REQUEST for a recall handle, INVALID_TRANSACTION_ID for an id, that this cluster did not write */
  read(kind: keyof typeof kinds, handle: string): PendingHandle {
    const bytes = this.signer.open(handle);
    if (!bytes || bytes.length <= fixedBytes || bytes[0] !== kinds[kind]) {
      throw kind === 'recall'
        ? new MqError('BAD_REQUEST', 'the recall handle was not issued by this cluster')
        : new MqError('INVALID_TRANSACTION_ID', 'the transaction id was not issued by this cluster');
    }
    return {
      broker: bytes.toString('utf8', fixedBytes),
      place: {
        topicId: bytes.readUInt32LE(1) as TopicId,
        position: readU53(bytes, 5) as LogPosition,
        size: bytes.readUInt32LE(13),
        dueMs: readU53(bytes, 17),
      },
    };
  }
}
