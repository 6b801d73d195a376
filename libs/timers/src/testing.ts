import {
  encodeDropped,
  encodeEnvelope,
  encodeReference,
  logPosition,
  MessageType,
  queueId,
  RecordKind,
  referenceReason,
  topicId,
  type GroupId,
  type StateChange,
} from '@cometmq/model';

import type { FoldedRecord, Timer } from './ports.js';
import { eachGone, isGoneKey } from './time-bucket.js';
import { decodeTimers, TimerList } from './timer-list.js';
import { TimersView } from './timers-view.js';

const nothing = Buffer.alloc(0);

/** Log and checkpoints, as far as the view can tell: appends what was decided and folds it at once. */
export class FoldingTimers {
  view = new TimersView();
  /** What was appended since the last checkpoint that `crash` goes back to. */
  private newer: FoldedRecord[] = [];
  private readonly pieces = new Map<string, Uint8Array>();
  readonly cold = new Map<string, Uint8Array>();
  private end = 4096;
  keepsLog = true;

  send(dueMs: number, topic = 1, queue = 0): Timer {
    const payload = encodeEnvelope({
      type: MessageType.delay,
      tag: nothing,
      id: nothing,
      group: nothing,
      keys: [],
      dueMs,
    });
    const record = this.append(RecordKind.pending, payload, topic, queue);
    return timerOf(record, dueMs);
  }

  fire(timer: Timer): void {
    const payload = encodeReference({
      target: timer,
      reason: referenceReason.timerFired,
      groupId: 0 as GroupId,
      originTopicId: timer.topicId,
    });
    this.append(RecordKind.reference, payload, timer.topicId, timer.queueId);
  }

  drop(...timers: Timer[]): void {
    this.append(RecordKind.dropped, encodeDropped(timers));
  }

  move(timer: Timer, dueMs: number): void {
    const { kind, payload } = this.view.decideMove([{ timer, dueMs }]);
    this.append(kind, payload);
  }

  append(kind: RecordKind, payload: Uint8Array, topic = 0, queue = 0): FoldedRecord {
    const position = logPosition(this.end);
    const size = 64 + payload.length;
    this.end += size;
    const record: FoldedRecord = {
      kind,
      position,
      size,
      timestampMs: 0,
      payload,
      topicId: topicId(topic),
      queueId: queueId(queue),
      tagHash: position % 7,
      groupHash: 0,
    };
    if (this.keepsLog) this.newer.push(record);
    this.view.fold(record);
    return record;
  }

  checkpoint(): StateChange[] {
    const changes = this.view.takeChanges();
    for (const { key, value, cold } of changes) {
      const space = cold ? this.cold : this.pieces;
      if (value) space.set(key, Uint8Array.from(value));
      else space.delete(key);
    }
    this.newer = [];
    return changes;
  }

  /** Memory is lost; the last checkpoint and the log are not. */
  crash(): void {
    this.view = new TimersView();
    for (const [key, value] of this.pieces) this.view.load(key, Uint8Array.from(value));
    for (const record of this.newer) this.view.fold(record);
  }

  advance(toMs: number): void {
    for (let keys = this.view.wanted(toMs); keys.length > 0; keys = this.view.wanted(toMs)) {
      for (const key of keys) this.view.stage(key, this.cold.get(key));
    }
    this.view.advance(toMs);
  }

  /** All that wait, found through what the view offers to those who list. */
  waiting(): Timer[] {
    const found: Timer[] = [];
    this.view.eachNear((list, slot) => found.push(list.at(slot)));
    for (const { tail, keys } of this.view.farBuckets(0, Infinity)) {
      const far = new TimerList();
      const gone = new Set<number>();
      for (const key of keys) {
        const piece = this.cold.get(key);
        if (!piece) throw new Error(`the cold piece ${key} is not there`);
        if (isGoneKey(key)) eachGone(piece, (position) => gone.add(position));
        else decodeTimers(piece, far, this.view.nearEndMs);
      }
      for (let i = 0; i < tail.length; i += 1) far.pushFrom(tail, i);
      for (let i = 0; i < far.length; i += 1) {
        const timer = far.at(i);
        if (!gone.has(timer.position) && !this.view.isGone(timer.position, timer.dueMs)) found.push(timer);
      }
    }
    return found.sort((a, b) => a.position - b.position);
  }
}

function timerOf({ position, size, topicId, queueId, tagHash, groupHash }: FoldedRecord, dueMs: number): Timer {
  return { position, size, dueMs, topicId, queueId, tagHash, groupHash };
}
