import { encodeTopicDeleted, groupId, queueId, queueOffset, RecordKind, topicId, type Receipt } from '@cometmq/model';

import {
  decodeDelivery,
  decodeLeased,
  GroupsView,
  type GroupsLimits,
  type PopDecision,
  type PopRequest,
  type Matcher,
} from './index.js';
import { ambiguousTag, everyTag, FoldingLog, kinds, MemoryQueue, tags } from './testing.js';

const group = groupId(1);
const topic = topicId(2);
const queue = queueId(3);
const minute = 60_000;
const hour = 60 * minute;
const [A, B] = [11, 22];

/** One queue, one group; time moves by hand. */
function stage(limits: GroupsLimits = {}) {
  const view = new GroupsView(limits);
  const log = new FoldingLog(view);
  const source = new MemoryQueue();
  const time = { nowMs: 1_000_000 };
  const pop = (
    client: string,
    over: Partial<PopRequest> = {},
    connection: string | undefined = 'proxy/1',
  ): PopDecision & { receipts: Receipt[] } => {
    const filter: Matcher = over.filter ?? everyTag;
    const decision = log.view.decidePop({
      groupId: group,
      clientId: client,
      autoRenew: false,
      nowMs: time.nowMs,
      visibleAtMs: time.nowMs + minute,
      messagesMax: 32,
      bytesMax: 1_000_000,
      attemptsMax: 17,
      filter,
      groupFilters: [filter],
      scanMax: 1000,
      queues: [{ topicId: topic, queueId: queue, start: source.first, source }],
      ...over,
    });
    const lease = decision.record && log.append(decision.record, time.nowMs);
    if (lease && connection) log.view.sendVia(group, client, { epoch: log.epoch, position: lease }, connection);
    return { ...decision, receipts: decision.handed.map((m) => log.receipt(group, m, lease!)) };
  };
  const renew = () => {
    for (const record of log.view.decideRenewals(time.nowMs, () => true)) log.append(record, time.nowMs);
  };
  /** Nothing but the log is left. */
  const restart = () => {
    log.view = new GroupsView(limits);
    for (const record of log.records) log.view.fold(record);
  };
  const ack = (receipts: Receipt[]) => {
    const { record, outcomes } = log.view.decideAck(receipts, time.nowMs);
    if (record) log.append(record, time.nowMs);
    return outcomes;
  };
  const figures = () => log.view.figures(group, topic, queue);
  return { view, log, source, time, pop, ack, figures, renew, restart };
}

const given = (decision: PopDecision) => decision.handed.map((m) => `${m.offset}#${m.attempt}`);

describe('a delivery', () => {
  it('gives each message once, then again when its lease has run out', () => {
    const { source, time, pop } = stage();
    source.send(0, 0);
    expect(given(pop('one'))).toEqual(['0#1', '1#1']);
    expect(given(pop('two'))).toEqual([]);
    time.nowMs += minute;
    expect(given(pop('two'))).toEqual(['0#2', '1#2']);
  });

  it('stops at its limits and says so', () => {
    const { source, pop } = stage();
    source.send(...Array.from({ length: 10 }, () => 0));
    expect(pop('one', { messagesMax: 3 })).toMatchObject({ exhausted: false, handed: { length: 3 } });
    expect(pop('one', { bytesMax: 250 })).toMatchObject({ exhausted: false, handed: { length: 2 } });
    expect(pop('one', { bytesMax: 1 })).toMatchObject({ exhausted: false, handed: { length: 1 } });
    expect(pop('one', { scanMax: 2 })).toMatchObject({ exhausted: false, handed: { length: 2 } });
    expect(pop('one')).toMatchObject({ exhausted: true, handed: { length: 2 } });
  });

  it('remembers where a group began, even if the queue had nothing for it', () => {
    const { source, pop, figures } = stage();
    source.send(0, 0, 0);
    const queues = [{ topicId: topic, queueId: queue, start: source.next, source }];
    expect(pop('one', { queues }).record).toBeDefined();
    expect(pop('one', { queues }).record).toBeUndefined();
    source.send(0);
    const later = [{ topicId: topic, queueId: queue, start: source.next, source }];
    expect(given(pop('one', { queues: later }))).toEqual(['3#1']);
    expect(figures()).toMatchObject({ committed: 3, frontier: 4 });
  });

  it('asks for entries that are not in memory, and goes on without them where it can', () => {
    const { source, time, pop } = stage();
    source.send(0, 0, 0);
    source.isAway = (offset) => offset === 1;
    expect(pop('one')).toMatchObject({ exhausted: false, needs: { from: 1, queueId: queue }, handed: { length: 1 } });
    source.isAway = () => false;
    expect(given(pop('one'))).toEqual(['1#1', '2#1']);
    time.nowMs += minute;
    source.isAway = (offset) => offset === 1;
    const again = pop('one');
    expect(given(again)).toEqual(['0#2', '2#2']);
    expect(again.needs).toMatchObject({ from: 1 });
  });

  it('hands out nothing new while too much is in flight, but what is due', () => {
    const { source, time, pop, ack } = stage({ blocksMax: 2 });
    source.send(...Array.from({ length: 96 }, () => 0));
    pop('one');
    const second = pop('one');
    expect(pop('one')).toMatchObject({ throttled: true, handed: [], record: undefined });
    ack(second.receipts);
    expect(pop('one').handed).toHaveLength(32);
    time.nowMs += minute;
    expect(pop('one').handed).toHaveLength(32);
  });

  it('says what it did, for whoever reads the log', () => {
    const { source, pop } = stage();
    source.send(A, A, B, 0);
    const { record } = pop('one', { filter: tags(A), groupFilters: [tags(A), tags(B)], attemptId: 'try-1' });
    const written = decodeDelivery(record!.payload);
    expect(written).toMatchObject({ clientId: 'one', attemptId: 'try-1', groupId: group, visibleAtMs: 1_060_000 });
    expect(written.queues[0]).toMatchObject({
      start: 0,
      frontier: 4,
      handed: { starts: [0], counts: [2], values: [1] },
      parked: { starts: [2], counts: [1], values: [B] },
      passed: { starts: [3], counts: [1] },
    });
  });
});

describe('members with different tags', () => {
  const both = { groupFilters: [tags(A), tags(B)] };

  it('keeps for each what the other does not want', () => {
    const { source, pop, figures } = stage();
    source.send(A, B, A, B);
    const first = pop('a', { filter: tags(A), ...both });
    expect(given(first)).toEqual(['0#1', '2#1']);
    expect(first.parked).toBe(2);
    expect(figures()).toMatchObject({ parked: 2, inFlight: 2, oldestUndelivered: 1 });
    expect(given(pop('b', { filter: tags(B), ...both }))).toEqual(['1#1', '3#1']);
  });

  it('does not look at what it kept again and again', () => {
    const { source, pop } = stage();
    source.send(...Array.from({ length: 500 }, () => B));
    pop('a', { filter: tags(A), ...both });
    source.asked = 0;
    expect(pop('a', { filter: tags(A), ...both })).toMatchObject({ exhausted: true, record: undefined });
    expect(source.asked).toBe(0);
  });

  it('gives a failed message to a member that wants it, with its attempts', () => {
    const { source, time, pop } = stage();
    source.send(B);
    pop('b', { filter: tags(B), ...both });
    time.nowMs += minute;
    expect(given(pop('a', { filter: tags(A), ...both }))).toEqual([]);
    expect(given(pop('b', { filter: tags(B), ...both }))).toEqual(['0#2']);
  });

  it('passes over what nobody wants any more', () => {
    const { source, pop, figures } = stage();
    source.send(B, B);
    pop('a', { filter: tags(A), ...both });
    expect(figures()).toMatchObject({ committed: 0, parked: 2 });
    pop('a', { filter: tags(A) });
    expect(figures()).toMatchObject({ committed: 2, parked: 0 });
  });
});

// The kind of a message is its offset modulo 3.
describe('members that match by the message itself', () => {
  const [zero, one] = [kinds(0), kinds(1)];
  const both = { groupFilters: [zero, one] };

  it('gives each what it wants, keeps what another wants, passes over the rest', () => {
    const { source, pop, figures } = stage();
    source.send(0, 0, 0, 0, 0, 0);
    expect(given(pop('zero', { filter: zero, ...both }))).toEqual(['0#1', '3#1']);
    expect(figures()).toMatchObject({ parked: 2, inFlight: 2, frontier: 6 });
    expect(given(pop('one', { filter: one, ...both }))).toEqual(['1#1', '4#1']);
  });

  it('does not look again at what it kept for another', () => {
    const { source, pop } = stage();
    source.send(...Array.from({ length: 300 }, () => 0));
    pop('zero', { filter: zero, ...both, messagesMax: 1000 });
    let looks = 0;
    const payload = source.payload.bind(source);
    source.payload = (position) => ((looks += 1), payload(position));
    expect(pop('zero', { filter: zero, ...both })).toMatchObject({ exhausted: true, record: undefined });
    expect(looks).toBe(0);
  });

  it('gives two tags with one hash to those who really want them', () => {
    const { source, pop, figures } = stage();
    const [a0, a1] = [ambiguousTag(A, 0), ambiguousTag(A, 1)];
    const group = { groupFilters: [a0, a1] };
    source.send(A, A, A, A);
    expect(given(pop('a0', { filter: a0, ...group }))).toEqual(['0#1', '3#1']);
    expect(figures()).toMatchObject({ parked: 1 });
    pop('a0', { filter: a0, ...group }); // Finds it among its own, sees that it is not, and puts it elsewhere.
    expect(pop('a0', { filter: a0, ...group }).record).toBeUndefined();
    expect(given(pop('a1', { filter: a1, ...group }))).toEqual(['1#1']);
  });

  it('judges what was kept for one that is gone anew, for all others', () => {
    const { source, pop, figures } = stage();
    source.send(0, 0, 0, 0);
    pop('zero', { filter: zero, groupFilters: [zero, kinds(2, 1)] });
    expect(figures()).toMatchObject({ parked: 2 });
    expect(given(pop('zero', { filter: zero, ...both }))).toEqual([]);
    expect(figures()).toMatchObject({ parked: 1 });
    expect(given(pop('one', { filter: one, ...both }))).toEqual(['1#1']);
    expect(figures()).toMatchObject({ parked: 0, committed: 0 });
  });

  it('passes over nothing while members may be unknown, and finds them theirs when they come', () => {
    const { source, pop, figures } = stage();
    source.send(0, 0, 0, 0);
    expect(given(pop('zero', { filter: zero, groupFilters: [zero], unknownMembers: true }))).toEqual(['0#1', '3#1']);
    expect(figures()).toMatchObject({ parked: 2 });
    expect(given(pop('one', { filter: one, ...both, unknownMembers: true }))).toEqual(['1#1']);
    pop('one', { filter: one, ...both });
    expect(figures()).toMatchObject({ parked: 0, inFlight: 3 });
  });

  it('leaves what an unknown member had kept where that member will look for it', () => {
    const { source, pop } = stage();
    source.send(0, 0, 0, 0);
    pop('zero', { filter: zero, ...both });
    expect(pop('zero', { filter: zero, groupFilters: [zero], unknownMembers: true }).record).toBeUndefined();
    expect(given(pop('one', { filter: one, ...both, unknownMembers: true }))).toEqual(['1#1']);
  });

  it('asks for all messages that it will have to look at, and for no others', () => {
    const { source, pop } = stage();
    source.send(A, B, A, B, A, B);
    source.isMessageAway = () => true;
    const filter = ambiguousTag(A, 0);
    const first = pop('a0', { filter });
    expect(first).toMatchObject({ handed: [], exhausted: false, needs: undefined });
    expect(first.looks.map(({ position }) => position)).toEqual([0, 2000, 4000]);
    source.isMessageAway = (offset) => offset === 4;
    expect(given(pop('a0', { filter }))).toEqual(['0#1']);
    source.isMessageAway = () => false;
    expect(pop('a0', { filter }).exhausted).toBe(true);
  });

  it('takes a look at a message for what it costs', () => {
    const { source, pop, figures } = stage();
    source.send(...Array.from({ length: 100 }, () => 0));
    const dear = { ...kinds(7), cost: 9 };
    expect(pop('dear', { filter: dear, scanMax: 100 }).exhausted).toBe(false);
    expect(figures()).toMatchObject({ frontier: 10 });
  });
});

describe('receipts', () => {
  it('count while held, after the lease ran out, and twice without harm', () => {
    const { source, time, pop, ack, figures } = stage();
    source.send(0, 0);
    const [first, second] = pop('one').receipts as [Receipt, Receipt];
    expect(ack([first, first])).toEqual(['done', 'done']);
    expect(ack([first])).toEqual(['noEffect']);
    time.nowMs += hour;
    expect(ack([second])).toEqual(['done']);
    expect(figures()).toMatchObject({ committed: 2, inFlight: 0 });
  });

  it('have no effect while another lease holds the message', () => {
    const { source, time, pop, ack } = stage();
    source.send(0);
    const old = pop('one').receipts;
    time.nowMs += minute;
    const young = pop('two').receipts;
    expect(ack(old)).toEqual(['stale']);
    expect(ack(young)).toEqual(['done']);
  });

  it('count with an unknown lease as long as nobody holds the message', () => {
    const { source, time, pop, ack } = stage();
    source.send(0);
    const [known] = pop('one').receipts as [Receipt];
    const unknown = { ...known, leasePosition: (known.leasePosition + 999) as never };
    expect(ack([unknown])).toEqual(['stale']);
    time.nowMs += minute;
    expect(ack([unknown])).toEqual(['done']);
  });

  it('are invalid for what was never handed out, and where the group never was', () => {
    const { source, pop, ack } = stage();
    source.send(0);
    const [known] = pop('one').receipts as [Receipt];
    expect(ack([{ ...known, offset: queueOffset(1) }])).toEqual(['invalid']);
    expect(ack([{ ...known, queueId: queueId(9) }])).toEqual(['invalid']);
  });

  it('lose their effect with a reset', () => {
    const { log, source, pop, ack, time } = stage();
    source.send(0, 0);
    const old = pop('one').receipts;
    log.append(log.view.decideReset(group, topic, queue, queueOffset(1)), time.nowMs);
    expect(ack(old)).toEqual(['stale', 'stale']);
    const again = pop('one');
    expect(again.handed).toMatchObject([{ offset: 1, attempt: 1, generation: 1 }]);
    expect(ack(again.receipts)).toEqual(['done']);
  });

  it('stay good through every change of the invisible time', () => {
    const { log, source, pop, ack, time } = stage();
    source.send(0);
    const [receipt] = pop('one').receipts as [Receipt];
    for (let i = 1; i <= 100; i += 1) {
      const { record, outcomes } = log.view.decideChange(
        [{ receipt, visibleAtMs: time.nowMs + i * minute }],
        time.nowMs,
      );
      expect(outcomes).toEqual(['done']);
      log.append(record!, time.nowMs);
    }
    expect(log.view.nextDueMs(group, topic)).toBe(time.nowMs + 100 * minute);
    time.nowMs += 99 * minute;
    expect(given(pop('two'))).toEqual([]);
    expect(ack([receipt])).toEqual(['done']);
  });

  it('given back make the message visible without counting the delivery', () => {
    const { log, source, pop, time } = stage();
    source.send(0);
    const back = log.view.decideHandBack(pop('one').receipts, time.nowMs);
    log.append(back.record!, time.nowMs);
    expect(given(pop('two'))).toEqual(['0#1']);
  });
});

describe('dead letters', () => {
  it('are told instead of a delivery too many, and done when moved', () => {
    const { log, source, pop, time, figures } = stage();
    source.send(0);
    pop('one', { attemptsMax: 2 });
    time.nowMs += minute;
    pop('one', { attemptsMax: 2 });
    time.nowMs += minute;
    const last = pop('one', { attemptsMax: 2 });
    expect(last).toMatchObject({ handed: [], deadLetters: [{ offset: 0, attempt: 2 }] });
    expect(log.view.isOpen(group, last.deadLetters[0]!)).toBe(true);
    const record = log.view.decideDeadLetter(group, last.deadLetters);
    expect(decodeLeased(record.payload)).toMatchObject([{ value: 1, leasePosition: 0 }]);
    log.append(record, time.nowMs);
    expect(log.view.isOpen(group, last.deadLetters[0]!)).toBe(false);
    expect(figures()).toMatchObject({ committed: 1, inFlight: 0 });
  });

  it('that can not be moved do not keep other messages back', () => {
    const { source, pop, time } = stage();
    source.send(...Array.from({ length: 300 }, () => 0));
    for (let i = 0; i < 10; i += 1) pop('one', { attemptsMax: 1 });
    time.nowMs += minute;
    source.send(0);
    const decision = pop('one', { attemptsMax: 1, scanMax: 100 });
    expect(decision.deadLetters).toHaveLength(64);
    expect(given(decision)).toEqual(['300#1']);
  });
});

describe('what is due', () => {
  const attempts = (max: number) => (groupId: number) => (groupId === group ? max : undefined);
  const exhausted = (messages: readonly { readonly offset: number }[]) => messages.map(({ offset }) => offset);

  it.each([undefined, { backoffMs: () => 0 }])(
    'is ready and not with anybody, though nobody asks (orderly: %j)',
    (orderly) => {
      const { source, pop, time, log, restart } = stage();
      source.send(0, 0, 0);
      const { receipts } = pop('one', { messagesMax: 2, orderly });
      const due = () => log.view.figures(group, topic, queue, time.nowMs)?.due;
      expect(due()).toBe(0);
      time.nowMs += minute;
      expect(due()).toBe(2);
      restart();
      expect(log.view.figures(group, topic, queue, time.nowMs)).toMatchObject({ due: 2, inFlight: 2 });
      pop('two', { messagesMax: 1, orderly });
      expect(due()).toBe(orderly ? 0 : 1); // In order, the rest waits for its first.
      log.append(log.view.decideDeadLetter(group, receipts.slice(0, 1)), time.nowMs);
      expect(due()).toBe(1);
    },
  );

  it('is due no more when its lease is renewed after all, and due again later', () => {
    const { source, pop, time, log, renew } = stage();
    source.send(0, 0);
    pop('one', { autoRenew: true });
    const due = () => log.view.figures(group, topic, queue, time.nowMs)?.due;
    time.nowMs += minute;
    expect(due()).toBe(2);
    renew();
    expect(due()).toBe(0);
    time.nowMs += minute;
    expect(due()).toBe(2);
  });

  it.each([undefined, { backoffMs: () => 0 }])(
    'is a dead letter when it was the last attempt (orderly: %j)',
    (orderly) => {
      const { source, pop, time, log, restart } = stage();
      source.send(0, 0);
      pop('one', { messagesMax: 1, orderly });
      expect(log.view.takeExhausted(time.nowMs, attempts(1), 10)).toEqual([]);
      time.nowMs += minute;
      expect(exhausted(log.view.takeExhausted(time.nowMs, attempts(2), 10))).toEqual([]);
      log.view.lookAgain(group, time.nowMs); // Fewer are allowed now.
      expect(exhausted(log.view.takeExhausted(time.nowMs, attempts(1), 10))).toEqual([0]);
      expect(log.view.takeExhausted(time.nowMs, attempts(1), 10)).toEqual([]);
      restart();
      const dead = log.view.takeExhausted(time.nowMs, attempts(1), 10);
      expect(exhausted(dead)).toEqual([0]);
      log.append(log.view.decideDeadLetter(group, dead), time.nowMs);
      expect(log.view.figures(group, topic, queue, time.nowMs)).toMatchObject({ due: 0, inFlight: 0, committed: 1 });
      expect(log.view.takeExhausted(time.nowMs + hour, attempts(1), 10)).toEqual([]);
    },
  );

  it('is told in parts where much of it is exhausted, and costs nothing where nothing is due', () => {
    const { source, pop, time, log } = stage();
    source.send(...Array.from({ length: 100 }, () => 0));
    pop('one', { messagesMax: 100 });
    time.nowMs += minute;
    const told = [0, 1, 2, 3].map(() => log.view.takeExhausted(time.nowMs, attempts(1), 30).length);
    expect(told).toEqual([30, 30, 30, 10]);
  });
});

describe('leases of clients', () => {
  const living = () => true;

  it('are not renewed after a restart where the answer may have reached nobody, though the client lives', () => {
    const { source, pop, ack, time, renew, restart } = stage();
    source.send(0, 0, 0, 0, 0);
    const auto = { autoRenew: true, messagesMax: 1 };
    pop('one', auto);
    time.nowMs += 50_000;
    renew(); // So it had arrived.
    pop('one', auto);
    const shown = pop('one', { autoRenew: true, messagesMax: 2 });
    restart();
    ack(shown.receipts.slice(0, 1)); // So all of it had arrived.
    pop('one', auto);
    time.nowMs += 45_000;
    renew();
    time.nowMs += 10_000;
    expect(given(pop('two'))).toEqual([]);
    time.nowMs += 5_000; // One lease.
    expect(given(pop('two'))).toEqual(['1#2']);
    for (let minutes = 0; minutes < 30; minutes += 1) {
      renew();
      time.nowMs += 30_000;
    }
    expect(given(pop('three'))).toEqual(['1#3']);
  });

  it('are not renewed where the proxy went before it said that the answer has arrived', () => {
    const { log, source, pop, time, renew } = stage();
    source.send(0, 0, 0);
    const auto = { autoRenew: true, messagesMax: 1 };
    pop('one', auto, 'proxy/1');
    time.nowMs += 1000;
    pop('one', auto, 'proxy/2');
    pop('one', auto, 'other/1');
    log.view.connectionsLost(
      (connection) => connection.startsWith('proxy/'),
      (_lease, handedMs) => handedMs < time.nowMs,
    );
    for (let rounds = 0; rounds < 4; rounds += 1) {
      time.nowMs += 20_000;
      renew();
    }
    expect(given(pop('two'))).toEqual(['1#2']);
  });

  it('are given up by connection where another member of the same client id stays', () => {
    const { log, source, pop, time } = stage();
    source.send(0, 0, 0);
    const auto = { autoRenew: true, messagesMax: 1 };
    pop('one', auto, 'proxy/1');
    pop('one', auto, 'proxy/2');
    const left = log.view.decideLeave(group, 'one', time.nowMs, (connection) => connection === 'proxy/2');
    log.append(left!, time.nowMs);
    expect(given(pop('two', { messagesMax: 2 }))).toEqual(['1#2', '2#1']);
    expect(log.view.decideLeave(group, 'one', time.nowMs, (connection) => connection === 'proxy/2')).toBeUndefined();
  });

  it('are renewed by one record a client, when they soon end, while it lives, up to three hours', () => {
    const { log, source, pop, time, view } = stage();
    source.send(...Array.from({ length: 64 }, () => 0));
    pop('one', { autoRenew: true });
    pop('one', { autoRenew: true });
    expect(view.decideRenewals(time.nowMs + 30_000, living)).toEqual([]);
    const endMs = time.nowMs + 4 * hour;
    let records = 0;
    for (; time.nowMs < endMs && view.decideRenewals(time.nowMs, () => false).length === 0; time.nowMs += 5000) {
      for (const record of view.decideRenewals(time.nowMs, living)) {
        expect(record.kind).toBe(RecordKind.changeClientLeases);
        log.append(record, time.nowMs);
        records += 1;
      }
      if (time.nowMs < 1_000_000 + 3 * hour) expect(given(pop('two'))).toEqual([]);
    }
    expect(records).toBeGreaterThan(200);
    expect(records).toBeLessThan(300);
    expect(given(pop('two'))).toHaveLength(32);
  });

  it('are not renewed for a message whose own time was set', () => {
    const { log, source, pop, time, view } = stage();
    source.send(0, 0);
    const [first] = pop('one', { autoRenew: true }).receipts as [Receipt];
    log.append(
      view.decideChange([{ receipt: first, visibleAtMs: time.nowMs + 10_000 }], time.nowMs).record!,
      time.nowMs,
    );
    time.nowMs += 50_000;
    for (const record of view.decideRenewals(time.nowMs, living)) log.append(record, time.nowMs);
    time.nowMs += 20_000;
    expect(given(pop('two'))).toEqual(['0#2']);
    expect(view.heldBy(group, 'one')).toEqual([{ topicId: topic, queueId: queue, offset: 1 }]);
  });

  it('are cut when the client is gone', () => {
    const { log, source, pop, time, view } = stage();
    source.send(0);
    pop('one');
    log.append(view.decideClientGone(group, 'one', time.nowMs + 1000)!, time.nowMs);
    expect(view.decideClientGone(group, 'one', time.nowMs + 1000)).toBeUndefined();
    expect(view.nextDueMs(group, topic)).toBe(time.nowMs + 1000);
    time.nowMs += 1000;
    expect(given(pop('two'))).toEqual(['0#2']);
  });
});

describe('what goes away', () => {
  it('takes a group and a topic with everything they had, also from the saved pieces', () => {
    const { log, source, pop, time, view } = stage();
    source.send(...Array.from({ length: 100 }, () => 0));
    for (let i = 0; i < 3; i += 1) pop('one');
    const saved = new Map(view.takeChanges().map(({ key, value }) => [key, value]));
    expect(saved.size).toBeGreaterThan(4);
    log.append(view.decideGroupDeleted(group), time.nowMs);
    for (const { key, value } of view.takeChanges()) {
      expect(value).toBeUndefined();
      saved.delete(key);
    }
    expect([...saved]).toEqual([]);
    expect(view.describe()).toEqual([]);

    pop('one');
    log.append({ kind: RecordKind.topicDeleted, payload: encodeTopicDeleted(topic) }, time.nowMs);
    expect(view.describe()).toEqual([]);
    expect([...view.groups()]).toEqual([]);
  });

  it('a checkpoint costs what has changed', () => {
    const { source, pop, ack, view } = stage();
    source.send(...Array.from({ length: 6400 }, () => 0));
    const receipts: Receipt[] = [];
    for (let i = 0; i < 200; i += 1) receipts.push(...pop('one').receipts);
    expect(view.takeChanges().length).toBeGreaterThan(200);
    expect(view.takeChanges()).toEqual([]);
    ack(receipts.slice(100, 101));
    expect(view.takeChanges()).toHaveLength(1);
    ack(receipts);
    expect(view.takeChanges().every(({ value }) => value === undefined)).toBe(true);
    expect(view.describe()).toHaveLength(1);
  });

  it('memory follows what is unfinished, not how far apart it lies', () => {
    const { source, pop, ack, view, figures } = stage();
    source.send(...Array.from({ length: 10_000 }, () => 0));
    const [stuck] = pop('one', { messagesMax: 1 }).receipts as [Receipt];
    for (let i = 0; i < 320; i += 1) ack(pop('one').receipts);
    expect(figures()).toMatchObject({ committed: 0, frontier: 10_000, inFlight: 1 });
    expect(view.takeChanges()).toHaveLength(3); // One head, one block, one page of leases.
    ack([stuck]);
    expect(figures()).toMatchObject({ committed: 10_000, inFlight: 0 });
  });
});
