import { encodeTopicDeleted, RecordKind, topicId, type TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { HalfMessage } from './ports.js';
import { FoldingTransactions } from './testing.js';
import { checksMax, firstCheckMs, pauseAfter } from './transactions-view.js';

const everMs = 1e15;

function sent(log: FoldingTransactions, topic = 1, checkAfterMs?: number): HalfMessage {
  const half = log.view.half(log.send(topic, checkAfterMs).position);
  if (!half) throw new Error('a half message is open once it is folded');
  return half;
}

describe('half messages', () => {
  it('are decided on once: the first record wins, the same again is the same, the opposite is not', () => {
    const log = new FoldingTransactions();
    const half = sent(log);
    expect(log.view.decideEnd(half, 'commit')).toEqual({ outcome: 'now', half });
    log.resolve(half, 'commit');
    expect(log.view.decideEnd(half, 'commit')).toEqual({ outcome: 'already' });
    expect(log.view.decideEnd(half, 'rollback')).toEqual({ outcome: 'opposite' });
    expect(log.view.size).toBe(0);
  });

  it('are known by position, size and topic: nothing else is one', () => {
    const log = new FoldingTransactions();
    const half = sent(log);
    expect(log.view.decideEnd({ ...half, topicId: topicId(2) }, 'commit').outcome).toBe('unknown');
    expect(log.view.decideEnd({ ...half, size: half.size + 1 }, 'commit').outcome).toBe('unknown');
    expect(log.view.decideEnd({ ...half, position: 1 as never }, 'commit').outcome).toBe('unknown');
  });

  it('are asked about after their own time, then with growing pauses', () => {
    const log = new FoldingTransactions();
    const own = sent(log, 1, 1_000);
    sent(log, 1);
    expect(log.view.takeDue(log.nowMs + 999)).toBeUndefined();
    expect(log.view.takeDue(log.nowMs + 1_000)).toEqual(own);
    log.nowMs += 1_000;
    log.append(log.view.decideChecked([own], log.nowMs));
    expect(own).toMatchObject({ checks: 1, lastCheckMs: log.nowMs, nextCheckMs: log.nowMs + 30_000 });
    expect(log.view.nextCheckMs).toBe(log.nowMs - 1_000 + firstCheckMs);
    const pauses = Array.from({ length: checksMax }, (_, i) => pauseAfter(i + 1));
    expect(pauses.slice(0, 3)).toEqual([30_000, 45_000, 67_500]);
    expect(pauses[checksMax - 1]).toBe(600_000);
  });

  // Goal: a follower, which asks nobody, does not remember for ever when it would have. Method: the first time in the order is
  // that of one of the last; one that is open keeps its place.
  it('leave the order of checks when they are decided on, also where nobody is asked', () => {
    const log = new FoldingTransactions();
    for (let i = 0; i < 1_000; i += 1) {
      log.nowMs += 1_000;
      log.resolve(sent(log), 'commit');
    }
    expect(log.view.nextCheckMs).toBeGreaterThan(log.nowMs - 100_000);
    const open = sent(log);
    const dueMs = log.nowMs + firstCheckMs;
    for (let i = 0; i < 1_000; i += 1) {
      log.nowMs += 1_000;
      log.resolve(sent(log), 'rollback');
    }
    expect(log.view.takeDue(dueMs)).toBe(open);
    expect(log.view.takeDue(everMs)).toBeUndefined();
  });

  it('wait without a count while nobody can be asked', () => {
    const log = new FoldingTransactions();
    const half = sent(log);
    expect(log.view.takeDue(log.nowMs + firstCheckMs)).toBe(half);
    log.view.later(half.position, log.nowMs + 9_000);
    expect(log.view.takeDue(log.nowMs + 8_999)).toBeUndefined();
    expect(log.view.takeDue(log.nowMs + 9_000)).toBe(half);
    expect(half.checks).toBe(0);
  });

  it('that are parked are asked about no more, but may still be decided on, also after a restart', () => {
    const log = new FoldingTransactions();
    const half = sent(log);
    log.append(log.view.decideParked([half]));
    log.checkpoint();
    log.crash();
    expect(log.view.takeDue(everMs)).toBeUndefined();
    expect(log.view.half(half.position)?.parked).toBe(true);
    expect(log.view.decideEnd(half, 'rollback').outcome).toBe('now');
  });

  it('keep what operators decided, with who and when', () => {
    const log = new FoldingTransactions();
    const half = sent(log);
    log.resolve(half, 'rollback');
    const audit = {
      atMs: 5,
      who: 'ada',
      resolution: 'rollback',
      topicId: half.topicId,
      position: half.position,
    } as const;
    log.append(log.view.decideAudit(audit));
    log.checkpoint();
    log.crash();
    expect(log.view.audits).toEqual([audit]);
  });
});

// Goal: whatever happens, what is open, how often it was asked about and what was decided are as a plain list has them.
// Method: act by chance, with checkpoints and crashes; compare.
it.each(seeds(20))('half messages are those of the oracle (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const log = new FoldingTransactions();
  const open = new Map<number, HalfMessage>();
  const decided = new Map<number, { half: HalfMessage; resolution: 'commit' | 'rollback' }>();
  const topics = new Set([1, 2, 3]);
  for (let step = 0; step < 300; step += 1) {
    log.nowMs += chance.below(4_000);
    const half = open.size > 0 ? chance.pick([...open.values()]) : undefined;
    switch (chance.below(9)) {
      case 0:
      case 1:
      case 2:
        for (let i = chance.below(chance.pick([3, 200])); i > 0; i -= 1) {
          const one = sent(log, chance.pick([...topics]), chance.chance(0.3) ? chance.below(9_000) : undefined);
          open.set(one.position, { ...one });
        }
        break;
      case 3:
      case 4: {
        if (!half) break;
        const resolution = chance.pick(['commit', 'rollback'] as const);
        expect(log.view.decideEnd(half, resolution).outcome).toBe('now');
        log.resolve(half, resolution);
        open.delete(half.position);
        decided.set(half.position, { half, resolution });
        break;
      }
      case 5: {
        const due = new Map<number, HalfMessage>();
        for (let one = log.view.takeDue(log.nowMs); one; one = log.view.takeDue(log.nowMs))
          due.set(one.position, { ...one });
        const wanted = [...open.values()].filter(({ parked, nextCheckMs }) => !parked && nextCheckMs <= log.nowMs);
        expect([...due.keys()].sort()).toEqual(wanted.map(({ position }) => position).sort());
        if (due.size === 0) break;
        const list = [...due.values()];
        if (chance.chance(0.2)) {
          log.append(log.view.decideParked(list));
          for (const one of list) open.set(one.position, { ...one, parked: true });
          break;
        }
        log.append(log.view.decideChecked(list, log.nowMs));
        for (const one of list) {
          const checks = one.checks + 1;
          const nextCheckMs = log.nowMs + pauseAfter(checks);
          open.set(one.position, { ...one, checks, lastCheckMs: log.nowMs, nextCheckMs });
        }
        break;
      }
      case 6:
        log.checkpoint();
        break;
      case 7:
        log.crash();
        break;
      default: {
        if (!chance.chance(0.05) || topics.size === 1) break;
        const topic = chance.pick([...topics]);
        topics.delete(topic);
        log.append({ kind: RecordKind.topicDeleted, payload: encodeTopicDeleted(topicId(topic)) });
        for (const one of [...open.values()]) if (one.topicId === (topic as TopicId)) open.delete(one.position);
      }
    }
    expect(log.view.size).toBe(open.size);
  }
  const plain = log.view.list(undefined, { storedMs: 0, position: -1 }, Infinity).map((half) => {
    const { position, size, topicId: topic, checks, lastCheckMs, nextCheckMs, parked } = half;
    return { position, size, topicId: topic, checks, lastCheckMs, nextCheckMs, parked };
  });
  const wanted = [...open.values()].sort((a, b) => a.position - b.position);
  expect(plain).toEqual(wanted.map((half) => expect.objectContaining(pick(half)) as unknown));
  const counts = new Map<TopicId, number>();
  for (const { topicId: topic } of wanted) counts.set(topic, (counts.get(topic) ?? 0) + 1);
  expect(new Map(log.view.sizes)).toEqual(counts);
  for (const { half, resolution } of decided.values()) {
    expect(log.view.decideEnd(half, resolution).outcome).toBe('already');
    expect(log.view.decideEnd(half, resolution === 'commit' ? 'rollback' : 'commit').outcome).toBe('opposite');
  }
});

function pick({ position, size, topicId: topic, checks, lastCheckMs, nextCheckMs, parked }: HalfMessage): object {
  return { position, size, topicId: topic, checks, lastCheckMs, nextCheckMs, parked };
}
