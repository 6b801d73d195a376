import { groupId, queueId, queueOffset, RecordKind, topicId, type Receipt } from '@cometmq/model';

import { decodeFifoDelivery, GroupsView, type GroupsLimits, type PopDecision, type PopRequest } from './index.js';
import { ambiguousTag, everyTag, FoldingLog, kinds, MemoryQueue, tags } from './testing.js';

/** Goal: what an orderly group is promised, one promise a test. Method: one queue, one group; time moves by hand. */
const group = groupId(1);
const topic = topicId(2);
const queue = queueId(3);
const minute = 60_000;
const hour = 60 * minute;
const [a, b, c] = [101, 102, 103];
const [A, B] = [11, 22];

function stage(limits: GroupsLimits = {}) {
  const view = new GroupsView(limits);
  const log = new FoldingLog(view);
  const source = new MemoryQueue();
  const time = { nowMs: 1_000_000 };
  const saved = new Map<string, Uint8Array>();
  let savedRecords = 0;
  const pop = (client: string, over: Partial<PopRequest> = {}): PopDecision & { receipts: Receipt[] } => {
    const filter = over.filter ?? everyTag;
    const decision = log.view.decidePop({
      groupId: group,
      clientId: client,
      autoRenew: false,
      orderly: { backoffMs: (attempt) => 1000 * attempt },
      nowMs: time.nowMs,
      visibleAtMs: time.nowMs + minute,
      messagesMax: 32,
      bytesMax: 1_000_000,
      attemptsMax: 3,
      filter,
      groupFilters: [filter],
      scanMax: 1000,
      queues: [{ topicId: topic, queueId: queue, start: source.first, source }],
      ...over,
    });
    const lease = decision.record && log.append(decision.record, time.nowMs);
    if (lease) log.view.sendVia(group, client, { epoch: log.epoch, position: lease }, 'proxy/1');
    return { ...decision, receipts: decision.handed.map((m) => log.receipt(group, m, lease!)) };
  };
  const ack = (...receipts: (Receipt | undefined)[]) => {
    const { record, outcomes } = log.view.decideAck(receipts as Receipt[], time.nowMs);
    if (record) log.append(record, time.nowMs);
    return outcomes;
  };
  const change = (receipt: Receipt | undefined, ms: number) => {
    const { record, outcomes } = log.view.decideChange(
      [{ receipt: receipt!, visibleAtMs: time.nowMs + ms }],
      time.nowMs,
    );
    if (record) log.append(record, time.nowMs);
    return outcomes;
  };
  const checkpoint = () => {
    for (const { key, value } of log.view.takeChanges()) {
      if (value) saved.set(key, value);
      else saved.delete(key);
    }
    savedRecords = log.records.length;
  };
  const restart = () => {
    const next = new GroupsView(limits);
    for (const [key, value] of saved) next.load(key, value);
    for (const record of log.records.slice(savedRecords)) next.fold(record);
    expect(next.describe()).toEqual(log.view.describe());
    log.view = next;
  };
  const figures = () => log.view.figures(group, topic, queue);
  return { log, source, time, pop, ack, change, checkpoint, restart, figures };
}

const given = (decision: PopDecision) => decision.handed.map((m) => `${m.offset}#${m.attempt}`);

describe('a lane', () => {
  it('is with one client at a time, and the others go on past it', () => {
    const { source, pop, ack, figures } = stage();
    source.sendTo(a, a, b, a, b);
    const one = pop('one', { messagesMax: 2 });
    expect(given(one)).toEqual(['0#1', '1#1']);
    expect(given(pop('two'))).toEqual(['2#1', '4#1']);
    expect(pop('three')).toMatchObject({ handed: [], exhausted: true, record: undefined });
    expect(figures()).toMatchObject({ inFlight: 4, blocked: 1, lanes: 2, frontier: 5, committed: 0 });
    ack(one.receipts[1]); // In any order: the lane is free when all are through.
    expect(given(pop('three'))).toEqual([]);
    ack(one.receipts[0]);
    expect(given(pop('three'))).toEqual(['3#1']);
  });

  it('of messages without a group is one for the queue', () => {
    const { source, pop, ack } = stage();
    source.sendTo(0, 0, a);
    const one = pop('one', { messagesMax: 1 });
    expect(given(pop('two'))).toEqual(['2#1']);
    ack(...one.receipts);
    expect(given(pop('two'))).toEqual(['1#1']);
  });

  it('gives one request all of it that fits, from several lanes', () => {
    const { source, pop } = stage();
    source.sendTo(a, b, a, c, b, a);
    expect(given(pop('one', { messagesMax: 5 }))).toEqual(['0#1', '1#1', '2#1', '3#1', '4#1']);
    expect(given(pop('two'))).toEqual([]);
  });

  it('comes again from its first unacknowledged message on when the lease has run out', () => {
    const { source, time, pop, ack } = stage();
    source.sendTo(a, a, a, a);
    const one = pop('one', { messagesMax: 3 });
    ack(one.receipts[1]);
    time.nowMs += minute;
    const two = pop('two');
    expect(given(two)).toEqual(['0#2', '2#2']);
    expect(ack(one.receipts[0])).toEqual(['stale']); // Superseded.
    expect(given(pop('one'))).toEqual([]);
    expect(ack(...two.receipts)).toEqual(['done', 'done']);
    expect(given(pop('one'))).toEqual(['3#1']);
  });

  it('shows nothing behind a message that is never acknowledged, until that one is done', () => {
    const { log, source, time, pop, ack } = stage();
    source.sendTo(...Array.from({ length: 20 }, () => a));
    const seen = new Set<number>();
    let dead: PopDecision['deadLetters'] = [];
    for (let round = 0; round < 10 && dead.length === 0; round += 1) {
      const batch = pop('one', { messagesMax: 3, visibleAtMs: time.nowMs + 10_000 });
      for (const { offset } of batch.handed) seen.add(offset);
      ack(...batch.receipts.slice(1));
      expect(given(pop('two', { messagesMax: 3 }))).toEqual([]);
      time.nowMs += 10_000;
      dead = batch.deadLetters;
    }
    expect([...seen]).toEqual([0, 1, 2]);
    log.append(log.view.decideDeadLetter(group, dead), time.nowMs);
    expect(given(pop('one', { messagesMax: 3 }))).toEqual(['3#1', '4#1', '5#1']);
  });

  it('takes no acknowledgement and no time that comes late, but a message that is given up for good', () => {
    const { log, source, time, pop, ack, change } = stage();
    source.sendTo(a, a);
    const one = pop('one', { messagesMax: 1 });
    time.nowMs += minute;
    expect(ack(one.receipts[0])).toEqual(['stale']);
    expect(change(one.receipts[0], minute)).toEqual(['stale']);
    expect(log.view.decideForward(one.receipts[0]!).outcomes).toEqual(['done']);
    const two = pop('two', { messagesMax: 1 });
    expect(given(two)).toEqual(['0#2']);
    expect(log.view.decideForward(one.receipts[0]!).outcomes).toEqual(['stale']);
    expect(ack(...two.receipts, ...two.receipts)).toEqual(['done', 'done']);
    expect(ack(...two.receipts)).toEqual(['noEffect']);
    expect(change(two.receipts[0], minute)).toEqual(['stale']); // It is done.
  });

  it('waits for the time its first message was given, whatever the others say', () => {
    const { source, time, pop, change, figures } = stage();
    source.sendTo(a, a, a);
    const one = pop('one', { messagesMax: 2 });
    change(one.receipts[0], 2 * minute);
    change(one.receipts[1], 0);
    time.nowMs += minute;
    expect(pop('two')).toMatchObject({ handed: [], nextDueMs: 1_000_000 + 2 * minute });
    expect(figures()?.nextDueMs).toBe(1_000_000 + 2 * minute);
    time.nowMs += minute;
    expect(given(pop('two'))).toEqual(['0#2', '1#2']);
  });

  it('is given back at once when the answer did not reach its client, and the attempt does not count', () => {
    const { log, source, time, pop } = stage();
    source.sendTo(a, a);
    const one = pop('one');
    log.append(log.view.decideHandBack(one.receipts, time.nowMs).record!, time.nowMs);
    expect(given(pop('two'))).toEqual(['0#1', '1#1']);
  });

  it('goes on when a message that was tried often enough is a dead letter', () => {
    const { log, source, time, pop, ack } = stage();
    source.sendTo(a, a, b);
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const { receipts } = pop('one', { messagesMax: 1 });
      if (attempt === 1) ack(...pop('other', { messagesMax: 1 }).receipts); // b, once.
      expect(receipts[0]).toMatchObject({ offset: 0, attempt });
      time.nowMs += minute;
    }
    const dead = pop('one');
    expect(dead).toMatchObject({ handed: [], deadLetters: [{ offset: 0, attempt: 3 }] });
    expect(pop('one')).toMatchObject({ handed: [], deadLetters: [{ offset: 0 }] }); // Until it is moved.
    log.append(log.view.decideDeadLetter(group, dead.deadLetters), time.nowMs);
    expect(log.view.takeFreed()).toMatchObject([{ groupId: group, topicId: topic, queueId: queue }]);
    expect(given(pop('one'))).toEqual(['1#1']);
  });

  it('rests by the retry policy when a renewed lease has just run out, and not when a client set the time', () => {
    const { log, source, time, pop, change } = stage();
    source.sendTo(a);
    pop('one', { autoRenew: true });
    log.append(log.view.decideClientGone(group, 'one', time.nowMs)!, time.nowMs);
    expect(pop('two')).toMatchObject({ handed: [], nextDueMs: time.nowMs + 1000 });
    time.nowMs += 1000;
    const again = pop('two', { autoRenew: true });
    expect(given(again)).toEqual(['0#2']);
    change(again.receipts[0], 10);
    time.nowMs += 10;
    expect(given(pop('two'))).toEqual(['0#3']);
  });

  it('is not renewed for ever', () => {
    const { log, source, time, pop } = stage();
    source.sendTo(a);
    pop('one', { autoRenew: true });
    const endMs = time.nowMs + 3 * hour;
    for (let renewals = 0; given(pop('two')).length === 0; renewals += 1) {
      expect(renewals).toBeLessThan(400);
      time.nowMs += 50_000;
      for (const record of log.view.decideRenewals(time.nowMs, () => true)) log.append(record, time.nowMs);
    }
    expect(time.nowMs).toBeGreaterThan(endMs);
    expect(time.nowMs).toBeLessThan(endMs + 3 * minute);
  });

  it('says when lanes come free, so that whoever waits is told', () => {
    const { log, source, pop, ack } = stage();
    source.sendTo(a, a, b);
    const one = pop('one', { messagesMax: 1 });
    pop('two');
    expect(log.view.takeFreed()).toEqual([]);
    ack(one.receipts[0]);
    expect(log.view.takeFreed()).toMatchObject([{ queueId: queue }]);
    expect(log.view.takeFreed()).toEqual([]);
  });

  it('says nothing of lanes whose group is gone, and so keeps none of them where nobody asks', () => {
    const { log, source, pop, ack } = stage();
    source.sendTo(a, b);
    ack(pop('one', { messagesMax: 1 }).receipts[0]);
    log.append(log.view.decideGroupDeleted(group), 0);
    expect(log.view.takeFreed()).toEqual([]);
  });
});

describe('a receive attempt', () => {
  it('is that of one client, whatever signs ids have', () => {
    const { source, pop } = stage();
    source.sendTo(a, b);
    expect(given(pop('one', { attemptId: 'x/y', messagesMax: 1 }))).toEqual(['0#1']);
    expect(given(pop('one/x', { attemptId: 'y', messagesMax: 1 }))).toEqual(['1#1']);
  });

  it('gets the same again, as the same delivery, also after a restart', () => {
    const { source, time, pop, ack, checkpoint, restart } = stage();
    source.sendTo(a, a, b, c);
    expect(given(pop('one', { attemptId: 'x', messagesMax: 3 }))).toEqual(['0#1', '1#1', '2#1']);
    checkpoint();
    expect(given(pop('one', { attemptId: 'x' }))).toEqual(['0#1', '1#1', '2#1']);
    restart();
    time.nowMs += 2 * minute; // Nobody else was quicker.
    const again = pop('one', { attemptId: 'x' });
    expect(given(again)).toEqual(['0#1', '1#1', '2#1']);
    checkpoint();
    restart();
    expect(given(pop('one', { attemptId: 'y' }))).toEqual(['3#1']);
    expect(ack(...again.receipts)).toEqual(['done', 'done', 'done']);
    expect(given(pop('one', { attemptId: 'x' }))).toEqual([]);
  });

  it('is of one client', () => {
    const { source, pop } = stage();
    source.sendTo(a);
    pop('one', { attemptId: 'x' });
    expect(given(pop('two', { attemptId: 'x' }))).toEqual([]);
  });

  it('gets nothing of a lane whose first message its client has given back, and has had the answer', () => {
    const { source, time, pop, change } = stage();
    source.sendTo(a, a, b);
    const one = pop('one', { attemptId: 'x' });
    change(one.receipts[0], 5000);
    expect(given(pop('one', { attemptId: 'x' }))).toEqual(['2#1']);
    time.nowMs += 5000;
    expect(given(pop('two'))).toEqual(['0#2', '1#2']);
  });

  it('gets all of it or nothing while entries are not in memory', () => {
    const { source, pop } = stage();
    source.sendTo(a, b);
    pop('one', { attemptId: 'x' });
    source.isAway = (offset) => offset === 1;
    expect(pop('one', { attemptId: 'x' })).toMatchObject({ handed: [], record: undefined, needs: { from: 1 } });
    source.isAway = () => false;
    expect(given(pop('one', { attemptId: 'x' }))).toEqual(['0#1', '1#1']);
  });
});

describe('a stuck lane', () => {
  it('is not looked at again by polls, however much waits in it', () => {
    const { source, pop, ack, figures } = stage({ laneKeptMax: 10 });
    source.sendTo(a);
    const stuck = pop('one');
    source.sendTo(...Array.from({ length: 5000 }, () => a), b);
    let polls = 0;
    while (given(pop('two')).length === 0) polls += 1;
    expect(polls).toBe(5); // Each looks at a thousand.
    expect(figures()).toMatchObject({ blocked: 5000, lanes: 2 });
    source.asked = 0;
    source.sendTo(b, c);
    expect(given(pop('two'))).toEqual(['5003#1']);
    expect(source.asked).toBe(2);
    ack(...stuck.receipts);
    const seen: string[] = [];
    for (;;) {
      const next = pop('one', { messagesMax: 20 });
      if (next.record === undefined) break;
      seen.push(...given(next));
      ack(...next.receipts);
    }
    expect(seen).toEqual(Array.from({ length: 5000 }, (_, i) => `${i + 1}#1`));
    expect(figures()).toMatchObject({ blocked: 1, lanes: 2 }); // What the other client holds.
  });

  it('is followed in the index behind what its backlog could hold, each part once', () => {
    const { source, pop, ack } = stage({ laneKeptMax: 3 });
    source.sendTo(a);
    const stuck = pop('one');
    const others = Array.from({ length: 3000 }, (_, i) => (i % 100 === 0 ? a : 1000 + i));
    source.sendTo(...others);
    while (pop('two', { messagesMax: 3000, scanMax: 3000 }).record);
    ack(...stuck.receipts);
    source.asked = 0;
    const seen: number[] = [];
    for (let polls = 0; polls < 100; polls += 1) {
      const next = pop('one', { messagesMax: 4, scanMax: 130 });
      if (!next.record) break;
      seen.push(...next.handed.map(({ offset }) => offset as number));
      ack(...next.receipts);
    }
    expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => 100 * i + 1));
    expect(source.asked).toBeLessThan(2 * 3000 + 30 * 64);
  });

  it('lets the frontier wait when too much is kept in too many', () => {
    const { source, pop, ack, figures } = stage({ laneKeptMax: 4, queueKeptMax: 8 });
    source.sendTo(a, b, c);
    const one = pop('one');
    source.sendTo(...Array.from({ length: 400 }, (_, i) => [a, b, c][i % 3] as number), 200);
    expect(pop('two')).toMatchObject({ handed: [], exhausted: true });
    expect(figures()?.frontier).toBeLessThan(100);
    ack(...one.receipts);
    expect(pop('two', { messagesMax: 40 }).handed).toHaveLength(40);
  });
});

describe('members with different tags', () => {
  it('get their own in order, and what nobody wants is passed over', () => {
    const { source, pop, ack } = stage();
    source.send(A, B, 33, A);
    for (let i = 0; i < 4; i += 1) source.groupHashes[i] = a;
    const filters = { groupFilters: [tags(A), tags(B)] };
    const one = pop('one', { filter: tags(A), ...filters });
    expect(given(one)).toEqual(['0#1']);
    expect(given(pop('two', { filter: tags(B), ...filters }))).toEqual([]); // Not before the first is through.
    ack(...one.receipts);
    expect(given(pop('one', { filter: tags(A), ...filters }))).toEqual([]);
    const two = pop('two', { filter: tags(B), ...filters });
    expect(given(two)).toEqual(['1#1']);
    ack(...two.receipts);
    expect(given(pop('one', { filter: tags(A), ...filters }))).toEqual(['3#1']);
  });

  it('do not wait for what was kept for one that is gone', () => {
    const { source, pop, ack } = stage();
    source.send(B, A);
    source.groupHashes[0] = source.groupHashes[1] = a;
    expect(given(pop('one', { filter: tags(A), groupFilters: [tags(A), tags(B)] }))).toEqual([]);
    expect(given(pop('one', { filter: tags(A), groupFilters: [tags(A)] }))).toEqual(['1#1']);
    expect(ack()).toEqual([]);
  });
});

describe('a reset', () => {
  it('holds a lane until the lease of who may still be at work on it ends', () => {
    const { log, source, time, pop, ack, checkpoint, restart } = stage();
    source.sendTo(a, b, a);
    const one = pop('one', { messagesMax: 1 });
    time.nowMs += 20_000;
    log.append(log.view.decideReset(group, topic, queue, queueOffset(0)), time.nowMs);
    expect(pop('two')).toMatchObject({ handed: [{ offset: 1, attempt: 1 }], exhausted: true });
    checkpoint();
    restart();
    expect(given(pop('two'))).toEqual([]);
    time.nowMs += 40_000;
    expect(given(pop('two'))).toEqual(['0#1', '2#1']);
    expect(ack(one.receipts[0])).toEqual(['stale']);
  });

  it.each(['acknowledges', 'sets a time', 'gives back', 'says good-bye'])(
    'frees a lane at once when its holder %s, message by message',
    (what) => {
      const { log, source, time, pop, ack, change, checkpoint, restart } = stage();
      source.sendTo(a, a, a);
      const one = pop('one', { messagesMax: 2 });
      log.append(log.view.decideReset(group, topic, queue, queueOffset(0)), time.nowMs);
      expect(given(pop('two'))).toEqual([]);
      checkpoint();
      restart();
      for (const receipt of one.receipts) {
        expect(given(pop('two'))).toEqual([]);
        if (what === 'acknowledges') expect(ack(receipt)).toEqual(['stale']);
        else if (what === 'sets a time') expect(change(receipt, 0)).toEqual(['stale']);
        else if (what === 'gives back') log.append(log.view.decideHandBack([receipt], time.nowMs).record!, time.nowMs);
        else if (receipt.offset === 1) log.append(log.view.decideLeave(group, 'one', time.nowMs)!, time.nowMs);
      }
      expect(log.view.takeFreed()).toMatchObject([{ queueId: queue }]);
      checkpoint();
      restart();
      expect(given(pop('two'))).toEqual(['0#1', '1#1', '2#1']);
    },
  );
});

describe('a group that becomes orderly, or is so no more', () => {
  it('waits for lanes that were held through a reset', () => {
    const { log, source, time, pop } = stage();
    source.sendTo(a, b);
    pop('one', { messagesMax: 1 });
    log.append(log.view.decideReset(group, topic, queue, queueOffset(2)), time.nowMs);
    source.sendTo(a);
    expect(given(pop('one', { orderly: undefined }))).toEqual([]);
    time.nowMs += minute;
    pop('one', { orderly: undefined });
    expect(given(pop('one', { orderly: undefined }))).toEqual(['2#1']);
  });

  it('finishes what it began', () => {
    const { source, time, pop, ack, checkpoint, restart, figures } = stage();
    source.sendTo(a, a, b);
    const plain = { orderly: undefined };
    const one = pop('one', { ...plain, messagesMax: 1 });
    expect(given(pop('two', { messagesMax: 1 }))).toEqual(['1#1']);
    checkpoint();
    restart();
    expect(ack(...one.receipts)).toEqual(['done']);
    source.sendTo(a, c);
    expect(given(pop('two'))).toEqual(['2#1', '4#1']);
    expect(figures()?.blocked).toBe(1);
    expect(given(pop('one', plain))).toEqual([]);
    time.nowMs += minute;
    const old = pop('one', plain);
    expect(given(old).sort()).toEqual(['1#2', '2#2', '4#2']);
    source.sendTo(a);
    expect(given(pop('one', plain))).toEqual([]);
    ack(...old.receipts);
    const rest = pop('one', plain);
    expect(given(rest)).toEqual(['3#1']);
    ack(...rest.receipts);
    expect(given(pop('one', plain))).toEqual(['5#1']);
    expect(figures()?.lanes).toBe(0);
  });
});

it('a delivery says what it did, for whoever reads the log', () => {
  const { source, pop } = stage();
  source.sendTo(a);
  pop('one');
  source.sendTo(a, b);
  const { record } = pop('two', { attemptId: 'try-1', autoRenew: true });
  expect(record?.kind).toBe(RecordKind.fifoDelivery);
  const written = decodeFifoDelivery(record!.payload);
  expect(written).toMatchObject({ groupId: group, clientId: 'two', attemptId: 'try-1', autoRenew: true });
  expect(written.queues).toMatchObject([
    {
      topicId: topic,
      queueId: queue,
      frontier: 3,
      lanes: [
        { hash: a, handed: { starts: [] }, kept: { starts: [1], counts: [1] }, taken: 0, spillFrom: -1 },
        { hash: b, handed: { starts: [2], values: [1] }, backoffMs: 1000, kept: { starts: [] } },
      ],
    },
  ]);
});

// The kind of a message is its offset modulo 3.
describe('a lane, and filters that look at the message itself', () => {
  const [zero, one] = [kinds(0), kinds(1)];

  it('waits for the member that its next message is for, and goes on with it', () => {
    const { source, pop, ack } = stage();
    const both = { groupFilters: [zero, one] };
    source.sendTo(a, a, a, a); // Kinds 0, 1, 2, 0; nobody wants 2.
    const first = pop('zero', { filter: zero, ...both });
    expect(given(first)).toEqual(['0#1']);
    expect(given(pop('one', { filter: one, ...both }))).toEqual([]); // Busy.
    ack(...first.receipts);
    expect(given(pop('zero', { filter: zero, ...both }))).toEqual([]); // The next one is for the other.
    const second = pop('one', { filter: one, ...both });
    expect(given(second)).toEqual(['1#1']);
    ack(...second.receipts);
    expect(given(pop('zero', { filter: zero, ...both }))).toEqual(['3#1']);
  });

  it('is given to whoever really has the tag, where two tags have one hash', () => {
    const { source, pop, ack } = stage();
    const [a0, a1] = [ambiguousTag(A, 0), ambiguousTag(A, 1)];
    const both = { groupFilters: [a0, a1] };
    source.send(A, A, A, A);
    const first = pop('a0', { filter: a0, ...both });
    expect(given(first)).toEqual(['0#1']);
    ack(...first.receipts);
    expect(given(pop('a0', { filter: a0, ...both }))).toEqual([]);
    const second = pop('a1', { filter: a1, ...both });
    expect(given(second)).toEqual(['1#1']);
    ack(...second.receipts);
    expect(given(pop('a0', { filter: a0, ...both }))).toEqual(['3#1']);
  });

  it('is judged anew for all when the member it was set aside for is gone', () => {
    const { source, pop, ack, figures } = stage();
    source.sendTo(a, a, a, a);
    const first = pop('zero', { filter: zero, groupFilters: [zero, one], messagesMax: 1 });
    ack(...first.receipts);
    pop('zero', { filter: zero, groupFilters: [zero, one] });
    expect(given(pop('zero', { filter: zero, groupFilters: [zero] }))).toEqual(['3#1']);
    expect(figures()).toMatchObject({ committed: 3 });
  });

  it('asks for messages that are not in memory, and gives nothing past them', () => {
    const { source, pop, ack } = stage();
    source.sendTo(a, a, a, a);
    source.isMessageAway = (offset) => offset === 1;
    const first = pop('zero', { filter: zero });
    expect(given(first)).toEqual(['0#1']);
    expect(first).toMatchObject({ exhausted: false, looks: [{ position: 1000 }] });
    ack(...first.receipts);
    source.isMessageAway = () => false;
    expect(given(pop('zero', { filter: zero }))).toEqual(['3#1']);
  });
});
