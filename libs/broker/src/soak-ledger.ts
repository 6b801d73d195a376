import type { Delivered } from '@cometmq/client';
import { Envelope, type ConsumerGroup, type Receipt, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** A message as it stands in a queue. */
interface Visible {
  readonly id: string;
  readonly topic: string;
  readonly queue: number;
  readonly offset: number;
  readonly storedMs: number;
  /** Its message group. */
  readonly lane: string;
  /** Its queue's first offset was raised over it. */
  expired: boolean;
}

/** Expiry is as fine as this. */
const grainMs = 1_000;
/** Faults told; the rest is only counted. */
const toldMax = 20;

/**
 * Counts what must be true however long a broker lives and however often it dies:
 * - a message whose send was acknowledged becomes visible, unless it was taken back;
 * - nothing becomes visible that nobody sent, or that was taken back, or before its time;
 * - nothing expires before its time;
 * - every group is given every message that has not expired, and none again whose acknowledgement was answered;
 * - an orderly group is given a message only when all before it in its lane are done with.
 */
export class SoakLedger {
  /** Deliveries, acknowledgements and dead letters so far: stands still when nothing happens any more. */
  progress = 0;
  readonly counts = { visible: 0, expired: 0, delivered: 0, again: 0, done: 0, dead: 0 };
  private readonly faults: string[] = [];
  private faultCount = 0;
  private readonly keptMs = new Map<string, number>();
  private readonly deadLetters = new Map<string, string>();
  private readonly attempts = new Set<string>();
  /** By id: when it is to be visible. */
  private readonly accepts = new Map<string, number>();
  private readonly backs = new Set<string>();
  private readonly unsure = new Set<string>();
  /** topic/queue → by offset. */
  private readonly queues = new Map<string, Visible[]>();
  private readonly expiredTo = new Map<string, number>();
  private readonly seenIds = new Set<string>();
  /** topic/queue/message group → in order. */
  private readonly lanes = new Map<string, Visible[]>();
  /** group/topic/queue/offset. */
  private readonly done = new Set<string>();
  /** An acknowledgement was begun; what became of it may never be told. */
  private readonly mayBeDone = new Set<string>();
  /** Delivered before what stands before it: right only if that turns out to be a dead letter. */
  private suspects: { readonly before: string; readonly what: string }[] = [];
  private readonly given = new Set<string>();
  private readonly skipped = new Set<string>();
  /** group/id. */
  private readonly dead = new Set<string>();

  watch(topic: Topic, keptMs: number): void {
    this.keptMs.set(topic.name, keptMs);
  }

  tried(id: string): void {
    this.attempts.add(id);
  }
  accepted(id: string, dueMs = 0): void {
    this.accepts.set(id, dueMs);
  }
  takenBack(id: string): void {
    this.backs.add(id);
    if (this.seenIds.has(id)) this.say(`${id} was taken back, and was visible before`);
  }
  /** Someone wants to take it back. */
  uncertain(id: string): void {
    this.unsure.add(id);
  }

  isOurs(caught: unknown): boolean {
    return !(caught instanceof MqError);
  }
  fault(caught: unknown): void {
    this.say(caught instanceof Error ? (caught.stack ?? caught.message) : String(caught));
  }

  /** Whose dead letters stand in the topic. */
  watchDeadLetters(topic: Topic, group: string): void {
    this.deadLetters.set(topic.name, group);
  }

  /** All that is visible has been looked at. */
  looked(): void {
    for (const { before, what } of this.suspects) if (!this.dead.has(before)) this.say(what);
    this.suspects = [];
  }

  seenTo(topic: Topic, queue: number): number {
    const seen = this.queues.get(queueOf(topic.name, queue));
    return Math.max(seen?.length ?? 0, this.expiredTo.get(queueOf(topic.name, queue)) ?? 0);
  }

  saw(topic: Topic, queue: number, offset: number, envelope: Envelope, storedMs: number): void {
    const key = queueOf(topic.name, queue);
    const { id, group: lane, dueMs = 0 } = envelope;
    let seen = this.queues.get(key);
    if (!seen) this.queues.set(key, (seen = []));
    if (offset !== seen.length) this.say(`${key}: offset ${offset} is visible, and ${seen.length} never was`);
    const message = { id, topic: topic.name, queue, offset, storedMs, lane, expired: false };
    seen[offset] = message;
    const deadOf = this.deadLetters.get(topic.name);
    if (deadOf !== undefined) {
      this.dead.add(`${deadOf}/${id}`);
      this.counts.dead += 1;
      this.progress += 1;
      return;
    }
    this.counts.visible += 1;
    if (lane !== '') this.lanes.set(`${key}/${lane}`, [...(this.lanes.get(`${key}/${lane}`) ?? []), message]);
    if (!this.attempts.has(id)) this.say(`${id} is visible, and nobody sent it`);
    if (this.backs.has(id)) this.say(`${id} is visible, and was taken back`);
    if (storedMs < dueMs) this.say(`${id} is visible ${dueMs - storedMs} ms before its time`);
    this.seenIds.add(id);
  }

  /** The queue's first offset as the broker says it. */
  expired(topic: Topic, queue: number, first: number, nowMs: number): void {
    const key = queueOf(topic.name, queue);
    const before = this.expiredTo.get(key) ?? 0;
    if (first < before) this.say(`${key}: the first offset went back from ${before} to ${first}`);
    const keptMs = this.keptMs.get(topic.name);
    for (let offset = before; offset < first; offset += 1) {
      const message = this.queues.get(key)?.[offset];
      if (!message) {
        this.say(`${key}: offset ${offset} expired, and was never seen`);
        continue;
      }
      message.expired = true;
      this.counts.expired += 1;
      const tooEarlyMs = message.storedMs + (keptMs ?? 0) - grainMs - nowMs;
      if (tooEarlyMs > 0) this.say(`${message.id} expired ${tooEarlyMs} ms before its time`);
    }
    this.expiredTo.set(key, Math.max(before, first));
  }

  delivered(group: ConsumerGroup, topic: Topic, messages: readonly Delivered[]): void {
    const batch = new Set<string>();
    for (const { payload, receipt } of messages) {
      const id = new Envelope(payload).id;
      const place = placeOf(group, topic, receipt);
      const known = this.queues.get(queueOf(topic.name, receipt.queueId))?.[receipt.offset];
      if (known && known.id !== id) this.say(`${place} was ${known.id}, and ${id} is delivered from it`);
      if (this.done.has(place)) this.say(`${id} is delivered to ${group.name} again after its acknowledgement`);
      if (this.given.has(place)) this.counts.again += 1;
      else this.counts.delivered += 1;
      this.given.add(place);
      this.progress += 1;
      if (group.fifo) this.checkLane(group, topic, receipt, payload, batch);
      batch.add(place);
    }
  }

  acknowledging(group: ConsumerGroup, topic: Topic, receipt: Receipt): void {
    this.mayBeDone.add(placeOf(group, topic, receipt));
  }
  acknowledged(group: ConsumerGroup, topic: Topic, receipt: Receipt): void {
    this.done.add(placeOf(group, topic, receipt));
    this.counts.done += 1;
    this.progress += 1;
  }

  /** The group has taken all there was for it: whatever is there has been given to it. */
  audit(group: ConsumerGroup, topic: Topic): void {
    for (const [key, messages] of this.queues) {
      if (!key.startsWith(`${topic.name}/`)) continue;
      for (const { id, queue, offset, expired } of messages.slice(this.expiredTo.get(key) ?? 0)) {
        const place = `${group.name}/${queueOf(topic.name, queue)}/${offset}`;
        if (expired || this.given.has(place) || this.skipped.has(place)) continue;
        this.skipped.add(place);
        this.say(`${id} (${queueOf(topic.name, queue)}/${offset}) is there, and ${group.name} is not given it`);
      }
    }
  }

  /** What was promised and is not so. */
  verdict(
    subscriptions: readonly { readonly group: ConsumerGroup; readonly topic: Topic }[],
    nowMs: number,
  ): readonly string[] {
    for (const [id, dueMs] of this.accepts) {
      if (dueMs < nowMs - grainMs && !this.seenIds.has(id) && !this.backs.has(id) && !this.unsure.has(id)) {
        this.say(`${id} was acknowledged to its sender, and never became visible`);
      }
    }
    for (const { group, topic } of subscriptions) {
      for (const message of [...this.queues.values()].flat()) {
        if (message.topic !== topic.name || message.expired) continue;
        const { id, queue, offset } = message;
        const place = `${group.name}/${queueOf(topic.name, queue)}/${offset}`;
        if (this.done.has(place) || this.dead.has(`${group.name}/${id}`)) continue;
        const how = this.given.has(place) ? 'is not done with' : 'was never delivered';
        this.say(`${id} (${queueOf(topic.name, queue)}/${offset}) ${how} in ${group.name}`);
      }
    }
    return this.faultCount > this.faults.length ? [...this.faults, `… ${this.faultCount} in all`] : this.faults;
  }

  private checkLane(
    group: ConsumerGroup,
    topic: Topic,
    receipt: Receipt,
    payload: Uint8Array,
    batch: Set<string>,
  ): void {
    const { id, group: lane } = new Envelope(payload);
    const key = queueOf(topic.name, receipt.queueId);
    for (const before of this.lanes.get(`${key}/${lane}`) ?? []) {
      if (before.offset >= receipt.offset) return;
      const place = `${group.name}/${key}/${before.offset}`;
      if (before.expired || this.mayBeDone.has(place) || batch.has(place)) continue;
      const what = `${id} is delivered to ${group.name} before ${before.id} of its message group is done with`;
      this.suspects.push({ before: `${group.name}/${before.id}`, what });
    }
  }

  private say(what: string): void {
    this.faultCount += 1;
    if (this.faults.length < toldMax) this.faults.push(what);
  }
}

function queueOf(topic: string, queue: number): string {
  return `${topic}/${queue}`;
}

function placeOf(group: ConsumerGroup, topic: Topic, { queueId, offset }: Receipt): string {
  return `${group.name}/${queueOf(topic.name, queueId)}/${offset}`;
}
