import {
  encodeTopicDeleted,
  logPosition,
  RecordKind,
  type LiteQueueGone,
  type QueueId,
  type TopicId,
  type DecidedRecord,
} from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { LiteTopicsView, type FoldedRecord } from './index.js';

const [A, B] = [1 as TopicId, 2 as TopicId];

/** A view and the log it folds. */
class Log {
  readonly view = new LiteTopicsView();
  readonly records: FoldedRecord[] = [];

  append({ kind, payload }: DecidedRecord): void {
    const record = { kind, payload, position: logPosition(this.records.length * 100) };
    this.records.push(record);
    this.view.fold(record);
  }
  create(topicId: TopicId, name: string): QueueId {
    const { queueId, record } = this.view.decideCreate(topicId, name);
    this.append(record);
    return queueId;
  }
  delete(...queues: (readonly [TopicId, QueueId])[]): void {
    const gone = queues.map(([topicId, queueId]): LiteQueueGone => ({ topicId, queueId, messages: 3, bytes: 300 }));
    this.append(this.view.decideDelete(gone));
  }
  deleteTopic(topicId: TopicId): void {
    this.append({ kind: RecordKind.topicDeleted, payload: encodeTopicDeleted(topicId) });
  }
}

describe('the lite topics', () => {
  it('have queues of their own, found by name and named by queue', () => {
    const log = new Log();
    const one = log.create(A, 'session-1');
    const two = log.create(A, 'session-2');
    const other = log.create(B, 'session-1');
    expect(new Set([one, two]).size).toBe(2);
    expect([log.view.find(A, 'session-1'), log.view.find(A, 'session-2'), log.view.find(B, 'session-1')]).toEqual([
      one,
      two,
      other,
    ]);
    expect(log.view.find(B, 'session-2')).toBeUndefined();
    expect(log.view.nameOf(A, two)).toBe('session-2');
    expect(log.view.nameOf(A, (two + 1) as QueueId)).toBeUndefined();
    expect([log.view.count, log.view.countOf(A), log.view.countOf(B)]).toEqual([3, 2, 1]);
  });

  it('get a new queue when they come back', () => {
    const log = new Log();
    const first = log.create(A, 'x');
    log.delete([A, first]);
    expect(log.view.find(A, 'x')).toBeUndefined();
    expect(log.view.nameOf(A, first)).toBeUndefined();
    expect(log.create(A, 'x')).toBeGreaterThan(first);
  });

  it('go with their topic, and leave nothing in a checkpoint', () => {
    const log = new Log();
    const saved = new Map<string, Uint8Array>();
    for (let i = 0; i < 100; i += 1) log.create(A, `n${i}`);
    log.create(B, 'stays');
    save(log.view, saved);
    log.deleteTopic(A);
    save(log.view, saved);
    expect(log.view.describe()).toEqual(['2 next 65537 has 1', '2 stays is 65536']);
    expect([...saved.keys()].every((key) => key.startsWith('2'))).toBe(true);
  });

  it('write only the blocks that changed', () => {
    const log = new Log();
    for (let i = 0; i < 10_000; i += 1) log.create(A, `n${i}`);
    log.view.takeChanges();
    expect(log.view.takeChanges()).toEqual([]);
    log.delete([A, log.view.find(A, 'n5000') as QueueId]);
    expect(log.view.takeChanges().length).toBe(1);
  });

  it('are walked in slices', () => {
    const log = new Log();
    for (let i = 0; i < 100; i += 1) log.create(A, `n${i}`);
    log.delete([A, log.view.find(A, 'n7') as QueueId]);
    const seen: string[] = [];
    let from: number | undefined = 0;
    while (from !== undefined)
      from = log.view.walk(from, 30, (_topic, _queue, place) => seen.push(log.view.nameAt(place)));
    expect(seen.length).toBe(99);
    expect(new Set(seen).size).toBe(99);
  });

  // Goal: a checkpoint and the rest of the log are the state. Method: make and delete by chance against a Map; now and
  // then save what changed; in the end load what was saved at a random time and fold what came after.
  it.each(seeds(40))('are what was saved and what was folded since (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const log = new Log();
    const oracle = new Map<string, QueueId>();
    const saved = new Map<string, Uint8Array>();
    let kept = { pieces: new Map<string, Uint8Array>(), from: 0 };
    const names = 10 + chance.below(300);
    const topics: TopicId[] = [A, B]; // A deleted topic's id is never used again.
    let lastTopic = 2;
    for (let step = 0; step < 1_500; step += 1) {
      const which = chance.chance(0.7) ? 0 : 1;
      const topicId = topics[which] as TopicId;
      const name = `${'x'.repeat(chance.below(60))}${chance.below(names)}`.slice(-64);
      const key = `${topicId} ${name}`;
      if (chance.chance(0.002)) {
        log.deleteTopic(topicId);
        topics[which] = (lastTopic += 1) as TopicId;
        for (const other of [...oracle.keys()]) if (other.startsWith(`${topicId} `)) oracle.delete(other);
      } else if (oracle.has(key) && chance.chance(0.7)) {
        log.delete([topicId, oracle.get(key) as QueueId]);
        oracle.delete(key);
      } else if (!oracle.has(key)) oracle.set(key, log.create(topicId, name));
      if (chance.chance(0.02)) {
        save(log.view, saved);
        if (chance.chance(0.5)) kept = { pieces: new Map(saved), from: log.records.length };
      }
    }
    const again = new LiteTopicsView();
    for (const [key, value] of kept.pieces) again.load(key, value);
    for (const record of log.records.slice(kept.from)) again.fold(record);
    expect(again.describe()).toEqual(log.view.describe());
    expect(log.view.count).toBe(oracle.size);
    for (const [key, queueId] of oracle) {
      const [topic = '', name = ''] = key.split(' ');
      expect(again.find(Number(topic) as TopicId, name)).toBe(queueId);
      expect(again.nameOf(Number(topic) as TopicId, queueId)).toBe(name);
    }
  });
});

function save(view: LiteTopicsView, into: Map<string, Uint8Array>): void {
  for (const { key, value } of view.takeChanges()) {
    if (value) into.set(key, value);
    else into.delete(key);
  }
}
