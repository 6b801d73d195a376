import {
  encodeDeadLettersReplayed,
  encodeExpiry,
  groupId,
  queueId,
  queueOffset,
  RecordKind,
  topicId,
  type GroupId,
  type Receipt,
} from '@cometmq/model';
import { seeds } from '@cometmq/shared/testing';
import * as fc from 'fast-check';

import { decodeDelivery, GroupsView, type Matcher } from './index.js';
import type { OffsetRuns } from './offset-runs.js';
import { ArrivalOracle, ambiguousTag, everyTag, FoldingLog, kinds, MemoryQueue, modelSeeds, tags } from './testing.js';

/**
 * Goal: no message is lost, none is with two clients at once, attempts and figures are right, whatever happens in
 * whatever order, through any crash. Method: any run of events against a view and, beside it, an oracle that keeps one
 * plain object a message; what a pop answers must be what the oracle allows, and all that it demands.
 */
interface Fate {
  done: boolean;
  attempt: number;
  /** Invisible until; undefined while nobody was given it. */
  dueMs: number | undefined;
  lease: { epoch: number; position: number; client: string; autoRenew: boolean; handedMs: number } | undefined;
  /** True while the due time is the lease's. */
  held: boolean;
  parked: boolean;
}

const topic = topicId(7);
const [A, B, C] = [11, 22, 33];
const attemptsMax = 3;

interface Member {
  readonly group: GroupId;
  readonly client: string;
  readonly filter: Matcher;
  readonly autoRenew: boolean;
}
const member = (group: number, client: string, filter: Matcher, autoRenew: boolean): Member => ({
  group: groupId(group),
  client,
  filter,
  autoRenew,
});
const members = [
  member(1, 'all-1', everyTag, true),
  member(1, 'all-2', everyTag, false),
  member(2, 'a', tags(A), true),
  member(2, 'b', tags(B), false),
  member(2, 'ab', tags(A, B), true), // Nobody of group 2 wants C.
  member(3, 'c', tags(C), true),
  member(3, 'any', everyTag, false),
  // These are judged by the messages themselves. Two of them wait for tags that share a hash.
  member(4, 'k0', kinds(0), true),
  member(4, 'k01', kinds(0, 1), false),
  member(4, 'a2', ambiguousTag(A, 2), true),
  member(4, 'a1', ambiguousTag(A, 1), true),
  member(4, 'c', tags(C), true),
] as const;

const queueCount = 2;
const starts = [0, 3];

class World {
  nowMs = 1_000_000;
  readonly queues = Array.from({ length: queueCount }, () => new MemoryQueue());
  view = new GroupsView();
  readonly log = new FoldingLog(this.view);
  readonly saved = new Map<string, Uint8Array>();
  savedRecords = 0;
  readonly arrivals = new ArrivalOracle();
  readonly fates = new Map<string, Fate>();
  receipts: Receipt[] = [];
  readonly generations = new Map<string, number>();
  readonly known = new Set<string>();

  fate(group: number, queue: number, offset: number): Fate {
    const key = `${group}/${queue}/${offset}`;
    let fate = this.fates.get(key);
    if (!fate) {
      const done = offset < (starts[queue] ?? 0);
      fate = { done, attempt: 0, dueMs: undefined, lease: undefined, held: false, parked: false };
      this.fates.set(key, fate);
    }
    return fate;
  }

  pop(who: Member, max: number, scanMax: number, order: readonly number[]): boolean {
    const others = members.filter((m) => m.group === who.group).map((m) => m.filter);
    const visibleAtMs = this.nowMs + 60_000;
    const decision = this.view.decidePop({
      groupId: who.group,
      clientId: who.client,
      autoRenew: who.autoRenew,
      nowMs: this.nowMs,
      visibleAtMs,
      messagesMax: max,
      bytesMax: 1500,
      attemptsMax,
      filter: who.filter,
      groupFilters: others,
      scanMax,
      queues: order.map((q) => ({
        topicId: topic,
        queueId: queueId(q),
        start: queueOffset(starts[q] ?? 0),
        source: this.queues[q] as MemoryQueue,
      })),
    });
    for (const dead of decision.deadLetters) {
      const fate = this.fate(who.group, dead.queueId, dead.offset);
      must(this.available(fate) && fate.attempt === attemptsMax, 'a dead letter is due and used up');
      must(dead.attempt === attemptsMax, 'a dead letter says how often it was delivered');
    }
    const lease = decision.record && this.log.append(decision.record, this.nowMs);
    if (lease !== undefined && this.arrivals.goesOut(lease)) {
      this.view.sendVia(who.group, who.client, { epoch: this.log.epoch, position: lease }, 'proxy/1');
    }
    if (decision.record) {
      const written = decodeDelivery(decision.record.payload);
      for (const queue of written.queues) {
        this.known.add(`${who.group}/${queue.queueId}`);
        offsets(queue.passed, (offset) => {
          const fate = this.fate(who.group, queue.queueId, offset);
          const tag = this.queues[queue.queueId]?.tagHashes[offset] ?? 0;
          must(!others.some((f) => really(f, tag, offset)), 'what is passed over is wanted by nobody');
          must(!fate.done, 'what is done stays done');
          fate.done = true;
        });
        offsets(queue.parked, (offset) => {
          const fate = this.fate(who.group, queue.queueId, offset);
          must(this.available(fate), 'what is parked was to be had');
          Object.assign(fate, { parked: true, dueMs: undefined, lease: undefined, held: false });
        });
      }
    }
    expect(decision.handed.length).toBeLessThanOrEqual(max);
    for (const message of decision.handed) {
      const fate = this.fate(who.group, message.queueId, message.offset);
      const tag = this.queues[message.queueId]?.tagHashes[message.offset] ?? 0;
      must(this.available(fate), 'what is handed out is with nobody else');
      must(message.offset >= (this.queues[message.queueId]?.first ?? 0), 'what is handed out is still there');
      must(really(who.filter, tag, message.offset), 'what is handed out is wanted');
      must(message.attempt === fate.attempt + 1 && message.attempt <= attemptsMax, 'attempts count up');
      must(message.position === 1000 * message.offset, 'a message has its own position');
      const { autoRenew, client } = who;
      Object.assign(fate, {
        attempt: message.attempt,
        dueMs: visibleAtMs,
        lease: { epoch: this.log.epoch, position: lease, client, autoRenew, handedMs: this.nowMs },
        held: true,
        parked: false,
      });
      this.receipts.push(this.log.receipt(who.group, message, lease!));
    }
    if (decision.deadLetters.length > 0) {
      this.log.append(this.view.decideDeadLetter(who.group, decision.deadLetters), this.nowMs);
      for (const { queueId: q, offset } of decision.deadLetters) this.fate(who.group, q, offset).done = true;
    }
    if (decision.needs) {
      const { queueId: q, from } = decision.needs;
      must(!decision.exhausted && this.queues[q]?.isAway(from) === true, 'what is needed is not in memory');
    }
    must(!decision.exhausted || decision.looks.length === 0, 'what must be looked at is not exhausted');
    for (const { position } of decision.looks) {
      must(
        this.queues.some((of) => of.isMessageAway(position / 1000)),
        'what must be looked at is not in memory',
      );
    }
    if (decision.exhausted) this.expectNothingLeft(who, order);
    if (decision.nextDueMs !== undefined) expect(decision.nextDueMs).toBeGreaterThan(this.nowMs);
    return decision.exhausted;
  }

  constructor() {
    starts.forEach((start, q) => this.queues[q]?.send(...Array.from({ length: start }, () => A)));
  }

  private available(fate: Fate): boolean {
    return !fate.done && (fate.dueMs === undefined || fate.dueMs <= this.nowMs);
  }

  private expectNothingLeft(who: Member, order: readonly number[]): void {
    for (const q of order) {
      const queue = this.queues[q] as MemoryQueue;
      for (let offset = queue.first as number; offset < queue.next; offset += 1) {
        const tag = queue.tagHashes[offset] ?? 0;
        if (!really(who.filter, tag, offset)) continue;
        if (who.group === 4 && this.fate(who.group, q, offset).parked) continue; // Kept for another who wants it too.
        must(
          !this.available(this.fate(who.group, q, offset)),
          `${who.client} was given all there is, also ${q}/${offset}`,
        );
      }
    }
  }

  ack(picked: readonly Receipt[]): void {
    const decision = this.view.decideAck(picked, this.nowMs);
    const expected = picked.map((receipt) => {
      if (receipt.generation !== this.generation(receipt)) return 'stale';
      const fate = this.fate(receipt.groupId, receipt.queueId, receipt.offset);
      if (fate.done) return 'noEffect';
      const mine = fate.lease?.position === receipt.leasePosition && fate.lease.epoch === receipt.leaseEpoch;
      return mine || !fate.held || this.available(fate) ? 'done' : 'stale';
    });
    expect(decision.outcomes).toEqual(expected);
    if (decision.record) this.log.append(decision.record, this.nowMs);
    picked.forEach((receipt, i) => {
      if (expected[i] !== 'done') return;
      const fate = this.fate(receipt.groupId, receipt.queueId, receipt.offset);
      fate.done = true;
      if (fate.parked || fate.lease?.position !== receipt.leasePosition) return;
      this.arrivals.isShown(receipt.leasePosition, this.log.records.length - 1);
    });
  }

  set(chosen: readonly Receipt[], visibleAtMs: number, back: boolean): void {
    const picked = [...new Set(chosen)];
    const decision = back
      ? this.view.decideHandBack(picked, visibleAtMs)
      : this.view.decideChange(
          picked.map((receipt) => ({ receipt, visibleAtMs })),
          this.nowMs,
        );
    const judged = picked.map((receipt) => {
      const fate = this.fate(receipt.groupId, receipt.queueId, receipt.offset);
      const mine = fate.lease?.position === receipt.leasePosition && fate.lease.epoch === receipt.leaseEpoch;
      const current = receipt.generation === this.generation(receipt);
      if (!current) return 'stale';
      if (fate.done) return back ? 'noEffect' : 'stale';
      return mine ? (!back || fate.held ? 'done' : 'noEffect') : 'stale';
    });
    expect(decision.outcomes).toEqual(judged);
    if (decision.record) this.log.append(decision.record, this.nowMs);
    const moved = new Set(picked.filter((_, i) => judged[i] === 'done'));
    moved.forEach((receipt) => {
      const fate = this.fate(receipt.groupId, receipt.queueId, receipt.offset);
      Object.assign(fate, { dueMs: visibleAtMs, held: false, attempt: fate.attempt - (back ? 1 : 0) });
    });
  }

  renew(living: readonly Member[]): void {
    const lives = (group: GroupId, client: string) => living.some((m) => m.group === group && m.client === client);
    const records = this.view.decideRenewals(this.nowMs, lives);
    for (const record of records) this.log.append(record, this.nowMs);
    for (const m of living) {
      const its = this.heldOf(m).filter((f) => f.lease?.autoRenew && f.lease.handedMs > this.nowMs - 3 * 3600_000);
      const knows = (fate: Fate): boolean => this.arrivals.mayHaveArrived(fate.lease!, fate.dueMs ?? 0);
      if (!its.some((fate) => knows(fate) && (fate.dueMs ?? 0) - this.nowMs < 20_000)) continue;
      for (const fate of its) {
        if (knows(fate)) fate.dueMs = Math.max(fate.dueMs ?? 0, this.nowMs + 60_000);
        else fate.held = false; // Due when it was due.
      }
    }
  }

  gone(who: Member): void {
    const visibleAtMs = this.nowMs + 1000;
    const record = this.view.decideClientGone(who.group, who.client, visibleAtMs);
    const its = this.heldOf(who).filter((fate) => (fate.dueMs ?? 0) > visibleAtMs);
    expect(record !== undefined).toBe(its.length > 0);
    if (record) this.log.append(record, this.nowMs);
    for (const fate of its) fate.dueMs = visibleAtMs;
  }

  private heldOf(who: Member): Fate[] {
    return [...this.fates]
      .filter(([key, f]) => key.startsWith(`${who.group}/`) && f.held && !f.done && f.lease?.client === who.client)
      .map(([, fate]) => fate);
  }

  /** Some entries are not in memory. */
  keepAway(q: number, isAway: (offset: number) => boolean): void {
    (this.queues[q] as MemoryQueue).isAway = isAway;
  }

  keepMessagesAway(q: number, isAway: (offset: number) => boolean): void {
    (this.queues[q] as MemoryQueue).isMessageAway = isAway;
  }

  expire(q: number, count: number): void {
    const queue = this.queues[q] as MemoryQueue;
    queue.first = queueOffset(Math.min(queue.next, queue.first + count));
    const { first } = queue;
    const payload = encodeExpiry([{ topicId: topic, queueId: queueId(q), first, messages: 1, bytes: 1 }]);
    this.log.append({ kind: RecordKind.expiry, payload }, this.nowMs);
    for (const m of members) {
      for (let offset = 0; offset < queue.first; offset += 1) this.fate(m.group, q, offset).done = true;
    }
  }

  reset(group: number, q: number, back: number): void {
    const queue = this.queues[q] as MemoryQueue;
    const offset = Math.max(queue.first, queue.next - back);
    const record = this.view.decideReset(groupId(group), topic, queueId(q), queueOffset(offset));
    this.log.append(record, this.nowMs);
    this.known.add(`${group}/${q}`);
    this.generations.set(`${group}/${q}`, (this.generations.get(`${group}/${q}`) ?? 0) + 1);
    for (let at = 0; at < queue.next; at += 1) {
      const fate = this.fate(group, q, at);
      Object.assign(fate, {
        done: at < offset,
        attempt: 0,
        dueMs: undefined,
        lease: undefined,
        held: false,
        parked: false,
      });
    }
  }

  /** Dead letters, or what was acknowledged: each is due once more, as if nobody had been given it. */
  replay(group: number, q: number, every: number): void {
    const queue = this.queues[q] as MemoryQueue;
    const letters = [];
    for (let offset = queue.first as number; offset < queue.next; offset += 1) {
      const fate = this.fate(group, q, offset);
      if (!fate.done || fate.attempt === 0 || offset % every !== 0) continue;
      const at = { topicId: topic, queueId: queueId(q), offset: queueOffset(offset) };
      must(this.view.redeliverable(groupId(group), at) === 'yes', 'what is done can be delivered again');
      letters.push({ ...at, letterOffset: queueOffset(0) });
      Object.assign(fate, { done: false, attempt: 0, dueMs: this.nowMs, lease: undefined, held: true, parked: false });
    }
    const about = { replayId: 'r', who: 'ada', groupId: groupId(group), letterTopicId: topicId(9) };
    const payload = encodeDeadLettersReplayed({ ...about, mode: 'toGroup', letters });
    this.log.append({ kind: RecordKind.deadLettersReplayed, payload }, this.nowMs);
  }

  checkpoint(): void {
    for (const { key, value } of this.view.takeChanges()) {
      if (value) this.saved.set(key, value);
      else this.saved.delete(key);
    }
    this.savedRecords = this.log.records.length;
    this.expectSame(this.rebuilt());
    expect(this.view.takeChanges()).toEqual([]);
  }

  crash(): void {
    this.arrivals.crash(this.savedRecords);
    const next = this.rebuilt();
    this.expectSame(next);
    this.view = next;
    this.log.view = next;
    this.log.epoch += 1;
  }

  private rebuilt(): GroupsView {
    const view = new GroupsView();
    for (const [key, value] of this.saved) view.load(key, value);
    for (const record of this.log.records.slice(this.savedRecords)) view.fold(record);
    return view;
  }

  private expectSame(other: GroupsView): void {
    expect(other.describe()).toEqual(this.view.describe());
    // Which of the kept ones is looked at first, and which of the overdue ones, is not part of the state.
    const figures = (view: GroupsView) =>
      members.map((m) =>
        view.progressOf(m.group, this.nowMs).map((of) => ({
          ...of,
          oldestUndelivered: 0,
          nextDueMs: of.nextDueMs && Math.max(of.nextDueMs, this.nowMs),
        })),
      );
    expect(figures(other)).toEqual(figures(this.view));
  }

  check(): void {
    for (const key of this.known) {
      const [group = 0, q = 0] = key.split('/').map(Number);
      const figures = this.view.figures(groupId(group), topic, queueId(q), this.nowMs)!;
      const queue = this.queues[q] as MemoryQueue;
      const seen = Array.from({ length: queue.next }, (_, offset) => this.fate(group, q, offset));
      const open = seen.findIndex((fate, offset) => offset < figures.frontier && !fate.done);
      const flying = seen.filter((fate) => !fate.done && fate.dueMs !== undefined);
      const due = flying.map((fate) => fate.dueMs ?? 0).sort((one, other) => one - other)[0];
      must(figures.committed === (open < 0 ? figures.frontier : open), 'all below the committed offset is done');
      must(figures.inFlight === flying.length, 'in flight is what was handed out');
      must(figures.waiting === flying.filter((fate) => !fate.held).length, 'waiting has times of its own');
      must(figures.due === flying.filter((fate) => this.available(fate)).length, 'what is due is counted');
      must(figures.parked === seen.filter((fate) => !fate.done && fate.parked).length, 'parked is kept');
      must(figures.generation === (this.generations.get(key) ?? 0), 'resets are counted');
      const overdue = due !== undefined && due <= this.nowMs;
      must(
        overdue ? (figures.nextDueMs ?? Infinity) <= this.nowMs : figures.nextDueMs === due,
        `the next due time is ${due}, not ${figures.nextDueMs}`,
      );
    }
  }

  private generation(receipt: Receipt): number {
    return this.generations.get(`${receipt.groupId}/${receipt.queueId}`) ?? 0;
  }
}

function offsets(runs: OffsetRuns, act: (offset: number) => void): void {
  runs.starts.forEach((start, i) => {
    for (let offset = start; offset < start + (runs.counts[i] ?? 0); offset += 1) act(offset);
  });
}

/** Whether the filter wants the message, the message itself asked. */
function really(filter: Matcher, tag: number, offset: number): boolean {
  return filter.all || (filter.wants(tag) && (filter.wantsMessage?.(Uint8Array.of(offset % 3)) ?? true));
}

function must(holds: boolean, promise: string): void {
  if (!holds) throw new Error(`broken: ${promise}`);
}

/** With a name, so that a counterexample can be read. */
interface Event {
  (world: World): void;
  [fc.toStringMethod](): string;
}
const event = (name: string, act: (world: World) => void): Event =>
  Object.assign((world: World) => act(world), { [fc.toStringMethod]: () => name });

const who = fc.constantFrom(...members);
const queue = fc.nat(queueCount - 1);
const order = fc.constantFrom([0, 1], [1, 0], [0], [1]);
/** Some of the receipts ever given out, mostly young ones; some twice. */
const picks = fc.array(fc.tuple(fc.nat(30), fc.boolean()), { minLength: 1, maxLength: 12 });
const pick = (world: World, chosen: readonly (readonly [number, boolean])[]): Receipt[] =>
  chosen.flatMap(([at, old]) => {
    const list = world.receipts;
    const found = list[old ? at % Math.max(1, list.length) : list.length - 1 - at];
    return found ? [found] : [];
  });

const tagList = fc.array(fc.constantFrom(0, A, B, C), { minLength: 1, maxLength: 40 });
const scans = fc.constantFrom(1, 5, 40, 1000);
const steps = fc.constantFrom(1, 999, 30_000, 45_000, 61_000, 4 * 3600_000);

const arbitraryEvent: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(queue, tagList)
      .map(([q, list]) => event(`send ${q} ${list.join()}`, (w) => w.queues[q]?.send(...list))),
  },
  {
    weight: 14,
    arbitrary: fc
      .tuple(who, fc.integer({ min: 1, max: 32 }), scans, order)
      .map(([m, max, scan, list]) =>
        event(`pop ${m.client} ${max} scan ${scan} of ${list.join()}`, (w) => w.pop(m, max, scan, list)),
      ),
  },
  { weight: 8, arbitrary: picks.map((chosen) => event(`ack ${chosen.join()}`, (w) => w.ack(pick(w, chosen)))) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(picks, fc.constantFrom(0, 5000, 90_000))
      .map(([chosen, ms]) =>
        event(`change ${chosen.join()} +${ms}`, (w) => w.set(pick(w, chosen), w.nowMs + ms, false)),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(picks, fc.constantFrom(0, 2000))
      .map(([chosen, ms]) =>
        event(`hand back ${chosen.join()} +${ms}`, (w) => w.set(pick(w, chosen), w.nowMs + ms, true)),
      ),
  },
  { weight: 6, arbitrary: steps.map((ms) => event(`tick ${ms}`, (w) => void (w.nowMs += ms))) },
  {
    weight: 3,
    arbitrary: fc
      .subarray([...members])
      .map((living) => event(`renew ${living.map((m) => m.client).join()}`, (w) => w.renew(living))),
  },
  { weight: 2, arbitrary: who.map((m) => event(`gone ${m.client}`, (w) => w.gone(m))) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(queue, fc.nat(60))
      .map(([q, count]) => event(`expire ${q} ${count}`, (w) => w.expire(q, count))),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 4 }), queue, fc.nat(80))
      .map(([g, q, back]) => event(`reset ${g} ${q} by ${back}`, (w) => w.reset(g, q, back))),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(queue, fc.nat(4))
      .map(([q, away]) =>
        event(`away ${q} ${away}`, (w) => w.keepAway(q, (offset) => Math.floor(offset / 8) % 5 < away)),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(queue, fc.nat(4))
      .map(([q, away]) =>
        event(`messages away ${q} ${away}`, (w) => w.keepMessagesAway(q, (offset) => offset % 5 < away)),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 4 }), queue, fc.integer({ min: 1, max: 5 }))
      .map(([g, q, every]) => event(`replay ${g} ${q} each ${every}`, (w) => w.replay(g, q, every))),
  },
  { weight: 3, arbitrary: fc.constant(event('checkpoint', (w) => w.checkpoint())) },
  { weight: 3, arbitrary: fc.constant(event('crash', (w) => w.crash())) },
);

describe('delivery state of groups, against an oracle', () => {
  it.each(seeds(modelSeeds(16)))(
    'loses nothing, gives nothing to two at once, forgets nothing in a crash (seed %i)',
    (seed) => {
      fc.assert(
        fc.property(fc.array(arbitraryEvent, { minLength: 20, maxLength: 120, size: 'max' }), (events) => {
          const world = new World();
          for (const act of events) {
            act(world);
            world.check();
          }
          for (let q = 0; q < queueCount; q += 1) {
            world.keepAway(q, () => false);
            world.keepMessagesAway(q, () => false);
          }
          // In the end, when all leases have run out and everyone asks, every message was with somebody who wanted it.
          for (let round = 0; round <= attemptsMax; round += 1) {
            world.nowMs += 5 * 3600_000;
            for (const m of members) for (let turn = 0; turn < 1000 && !world.pop(m, 32, 1000, [0, 1]); turn += 1);
            world.check();
          }
          world.nowMs += 5 * 3600_000;
          for (const m of members) while (!world.pop(m, 32, 1000, [0, 1]));
          world.check();
          for (const m of members) {
            for (const figures of world.view.progressOf(m.group)) {
              expect(figures.inFlight + figures.parked).toBe(0);
              expect(figures.committed).toBe(world.queues[figures.queueId]?.next);
            }
          }
        }),
        { seed, numRuns: 10, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
      );
    },
  );
});
