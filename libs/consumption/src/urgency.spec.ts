import { groupId, queueId, queueOffset, topicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';

import { GroupsView, type PopDecision, type PopQueue } from './index.js';
import { everyTag, FoldingLog, MemoryQueue } from './testing.js';

const group = groupId(1);
const topic = topicId(2);

/** Queues by urgency: the first is the most urgent. */
function stage(count: number) {
  const log = new FoldingLog(new GroupsView());
  const sources = Array.from({ length: count }, () => new MemoryQueue());
  const time = { nowMs: 1_000_000 };
  const queues = sources.map((source, i): PopQueue => ({
    topicId: topic,
    queueId: queueId(i),
    start: queueOffset(0),
    source,
  }));
  const pop = (messagesMax: number): PopDecision => {
    const decision = log.view.decidePop({
      groupId: group,
      clientId: 'c',
      autoRenew: false,
      nowMs: time.nowMs,
      visibleAtMs: time.nowMs + 1_000,
      messagesMax,
      bytesMax: 1_000_000,
      attemptsMax: 17,
      filter: everyTag,
      groupFilters: [everyTag],
      scanMax: 1000,
      byUrgency: true,
      queues,
    });
    if (decision.record) log.append(decision.record, time.nowMs);
    return decision;
  };
  return { log, sources, time, pop };
}

const given = (decision: PopDecision) => decision.handed.map((m) => `${m.queueId}:${m.offset}#${m.attempt}`);

describe('by urgency', () => {
  it('empties the most urgent queue first', () => {
    const { sources, pop } = stage(3);
    sources[2]?.send(0, 0);
    sources[0]?.send(0, 0);
    expect(given(pop(3))).toEqual(['0:0#1', '0:1#1', '2:0#1']);
    sources[1]?.send(0);
    expect(given(pop(3))).toEqual(['1:0#1', '2:1#1']);
  });

  it('brings what failed before behind all that is new, the most urgent first', () => {
    const { sources, time, pop } = stage(2);
    sources[1]?.send(0);
    sources[0]?.send(0);
    expect(given(pop(2))).toEqual(['0:0#1', '1:0#1']);
    time.nowMs += 2_000;
    sources[1]?.send(0);
    expect(given(pop(1))).toEqual(['1:1#1']);
    expect(given(pop(3))).toEqual(['0:0#2', '1:0#2']);
  });

  it('hands out nothing less urgent while entries of a more urgent queue have to be fetched', () => {
    const { sources, pop } = stage(2);
    sources[1]?.send(0);
    sources[0]?.send(0);
    sources[0]!.isAway = () => true;
    const decision = pop(2);
    expect(given(decision)).toEqual([]);
    expect(decision.needs).toMatchObject({ queueId: 0, from: 0 });
    sources[0]!.isAway = () => false;
    expect(given(pop(2))).toEqual(['0:0#1', '1:0#1']);
  });

  // Goal: no message of a level is handed out for the first time while a higher one has an undelivered message.
  it.each([1, 2, 3, 4, 5])('never passes a level that has something new (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const { sources, time, pop } = stage(5);
    const firstNew = [0, 0, 0, 0, 0];
    for (let step = 0; step < 400; step += 1) {
      for (let i = chance.below(4); i > 0; i -= 1) sources[chance.below(5)]?.send(0);
      time.nowMs += chance.below(400);
      const fresh = sources.map((source, level) => source.next - firstNew[level]!);
      const handed = pop(1 + chance.below(5)).handed.filter(({ attempt }) => attempt === 1);
      for (const { queueId: level, offset } of handed) {
        expect(fresh.slice(0, level).every((count) => count === 0)).toBe(true);
        expect(offset).toBe(firstNew[level]);
        fresh[level]! -= 1;
        firstNew[level]! += 1;
      }
    }
  });
});
