/**
 * What was deleted by a record: topics, and queues of topics that live on. Their numbers are never given again, so a bit
 * each, for good, is all it takes; and what is in no view without standing here is not taken for deleted.
 *
 *   piece `d<topic id >> 10>`                     1024 bits, a topic each
 *   piece `q<topic id>-<queue id >> 10>`          1024 bits, a queue each; gone with its topic
 */
import { assert } from '@cometmq/shared';
import type { StateChange } from '@cometmq/model';

const bitsShift = 10;
const pieceBytes = (1 << bitsShift) / 8;

export class Tombstones {
  private readonly pieces = new Map<string, Uint8Array>();
  /** By topic: its pieces of queues. */
  private readonly queuePieces = new Map<number, Set<string>>();
  private readonly changed = new Set<string>();

  /** Whether it is a key of ours. */
  static owns(key: string): boolean {
    return key.startsWith('d') || key.startsWith('q');
  }

  addTopic(topicId: number): void {
    this.add(topicKey(topicId), topicId);
    for (const key of this.queuePieces.get(topicId) ?? []) {
      this.pieces.delete(key);
      this.changed.add(key);
    }
    this.queuePieces.delete(topicId);
  }

  addQueue(topicId: number, queueId: number): void {
    const key = queueKey(topicId, queueId);
    this.add(key, queueId);
    this.noteQueuePiece(topicId, key);
  }

  hasTopic(topicId: number): boolean {
    return this.has(topicKey(topicId), topicId);
  }

  /** The queue, or its whole topic. */
  hasQueue(topicId: number, queueId: number): boolean {
    return this.hasTopic(topicId) || (this.queuePieces.has(topicId) && this.has(queueKey(topicId, queueId), queueId));
  }

  takeChanges(): StateChange[] {
    const changes = Array.from(this.changed, (key) => ({ key, value: this.pieces.get(key)?.slice() }));
    this.changed.clear();
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    assert(value.byteLength === pieceBytes, 'a piece of what was deleted has its size');
    this.pieces.set(key, Uint8Array.from(value));
    if (key.startsWith('q')) this.noteQueuePiece(Number.parseInt(key.slice(1), 10), key);
  }

  clear(): void {
    this.pieces.clear();
    this.queuePieces.clear();
    this.changed.clear();
  }

  private add(key: string, id: number): void {
    let bits = this.pieces.get(key);
    if (!bits) this.pieces.set(key, (bits = new Uint8Array(pieceBytes)));
    const at = (id >>> 3) % pieceBytes;
    bits[at] = (bits[at] as number) | (1 << (id & 7));
    this.changed.add(key);
  }

  private has(key: string, id: number): boolean {
    const bits = this.pieces.get(key);
    return bits !== undefined && (((bits[(id >>> 3) % pieceBytes] as number) >>> (id & 7)) & 1) === 1;
  }

  private noteQueuePiece(topicId: number, key: string): void {
    const keys = this.queuePieces.get(topicId);
    if (keys) keys.add(key);
    else this.queuePieces.set(topicId, new Set([key]));
  }
}

function topicKey(topicId: number): string {
  return `d${topicId >>> bitsShift}`;
}

function queueKey(topicId: number, queueId: number): string {
  return `q${topicId}-${queueId >>> bitsShift}`;
}
