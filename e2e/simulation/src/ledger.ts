/**
 * What must be true whatever breaks: a message whose send was acknowledged is delivered; one whose consumption was
 * acknowledged is not delivered again to who asks later; nothing is delivered that was never sent, or was rolled back; no place of
 * a queue holds two messages; the messages of a group come to an orderly consumer group for the first time in the order in
 * which they were sent; what was delayed comes at its time; what was received comes to nobody else before its lease is over,
 * no more often than its group allows, and then to the dead letters, once.
 */
import type { ReceivedMessage } from '@cometmq/client';

export interface Sent {
  readonly topic: string;
  readonly body: string;
  /** Of a message group, or a lite topic: its name, and which of its messages this is. */
  readonly messageGroup?: string;
  readonly liteTopic?: string;
  readonly number: number;
  /** Since 1970: not to be delivered before. */
  readonly dueMs?: number;
  /** Nobody can do what it asks for: it is never acknowledged. */
  readonly isPoison?: boolean;
  /** When its sender began to send it. */
  readonly beganMs: number;
}

/** What consumers do in common. */
export interface Reading {
  readonly group: string;
  /** One batch of a message group, or a lite topic, at a time; what is handed out is committed first. */
  readonly isOrderly: boolean;
  readonly attemptsMax: number;
  readonly invisibleMs: number;
}

/** What the world knows. */
export interface Circumstances {
  readonly wallMs: number;
  /** The furthest that a member's wall clock was ever ahead of the others'. */
  readonly aheadMsMax: number;
  /** Whether a wall clock has ever been set: log time follows it, at up to double speed. */
  readonly isWallSteady: boolean;
  /** Who has led so far. */
  readonly epochs: number;
  /** Since when, by the wall, nothing is broken and all members are in sync; undefined: things break. */
  readonly wholeWallMs: number | undefined;
  /** How often the log has these bytes. */
  copiesOf(bytes: string): number;
}

interface Lease {
  readonly endMs: number;
  readonly epochs: number;
  /** When it was received. */
  readonly nowMs: number;
  readonly attempt: number;
}

/** A delayed message comes so late at the most, where nothing is broken. */
const lateMsMax = 20_000;

export class Ledger {
  readonly acknowledged = new Map<string, Sent>();
  readonly wrong: string[] = [];
  /** Topics whose making (true) or deletion was answered. */
  readonly topics = new Map<string, boolean>();
  private readonly never = new Set<string>();
  /** What was first seen where. */
  private readonly places = new Map<string, string>();
  private readonly waiting: (() => void)[] = [];
  private readonly tried = new Map<string, Sent>();
  private readonly seen = new Map<string, Set<string>>();
  /** When the consumption of a stored message was acknowledged: group, topic, queue and offset. */
  private readonly doneMs = new Map<string, number>();
  /** The highest number of each message group that came to a consumer group. */
  private readonly furthest = new Map<string, number>();
  /** What was received last: until when at the least it is kept from others, and how many had led by then. */
  private readonly leases = new Map<string, Lease>();
  /** Where what was acknowledged by a consumer while it had the lease stands: more than one place, where it was stored twice. */
  private readonly doneBodies = new Map<string, Set<string>>();
  /** Where a dead letter was first seen. */
  private readonly buried = new Map<string, Set<string>>();

  sending(sent: Sent): void {
    this.tried.set(sent.body, sent);
  }
  sent(sent: Sent): void {
    this.acknowledged.set(sent.body, sent);
    for (const act of this.waiting.splice(0)) act();
    const isSeen = [...this.seen.values()].some((bodies) => bodies.has(sent.body));
    if (!this.buried.has(sent.body) && (sent.isPoison === true || !isSeen)) this.missing.add(sent.body);
  }

  /** It must not be delivered to anybody. */
  rolledBack(sent: Sent): void {
    this.never.add(sent.body);
  }

  isPoison(message: ReceivedMessage): boolean {
    return this.tried.get(Buffer.from(message.body).toString())?.isPoison === true;
  }

  /** Resolves in the moment in which a client hears that its message is stored. */
  nextSent(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** @param askedMs when the receive that brought it began */
  received(
    by: Reading,
    message: ReceivedMessage,
    askedMs: number,
    nowMs: number,
    world: Circumstances,
    /** How many epochs there had been when it was asked: one whose term ended meanwhile may have answered. */
    askedEpochs = world.epochs,
  ): void {
    const { group } = by;
    const body = Buffer.from(message.body).toString();
    const sent = this.tried.get(body);
    if (!sent || sent.topic !== message.topic) {
      this.wrong.push(`${group} got "${labelOf(body)}" of ${message.topic}, which nobody sent there`);
      return;
    }
    if (sent.liteTopic !== undefined && sent.liteTopic !== message.liteTopic) {
      this.wrong.push(`${group} got "${labelOf(body)}" of lite topic ${message.liteTopic}, not of ${sent.liteTopic}`);
    }
    if (this.never.has(body)) this.wrong.push(`${group} got "${labelOf(body)}", which was rolled back`);
    const at = placeIn(message);
    const first = this.places.get(at);
    if (first === undefined) this.places.set(at, body);
    else if (first !== body) this.wrong.push(`"${labelOf(first)}" and "${labelOf(body)}" have the place ${at}`);
    const doneMs = this.doneMs.get(placeOf(group, message));
    if (doneMs !== undefined && doneMs < askedMs) {
      this.wrong.push(`${group} got "${labelOf(body)}" at ${askedMs} again, acknowledged at ${doneMs}`);
    }
    this.leased(by, message, labelOf(body), askedMs, nowMs, world, askedEpochs);
    const seen = this.seenBy(group);
    if (!seen.has(body)) this.first(group, sent, message, world);
    seen.add(body);
    if (sent.isPoison !== true) this.missing.delete(body);
  }

  /** Nobody else holds it, and it was not tried too often. */
  private leased(
    { group, isOrderly, attemptsMax, invisibleMs }: Reading,
    message: ReceivedMessage,
    label: string,
    askedMs: number,
    nowMs: number,
    { isWallSteady, epochs }: Circumstances,
    askedEpochs: number,
  ): void {
    if (message.attempt > attemptsMax) {
      this.wrong.push(`${group} got "${label}" for the ${message.attempt}. time, and ${attemptsMax} are allowed`);
    }
    const place = placeOf(group, message);
    const lease = this.leases.get(place);
    // A hand-out that was not committed may be forgotten by the next leader, but not one of those that keep an order.
    const mayBeForgotten = !isOrderly && lease?.epochs !== epochs;
    const endMs = askedMs + invisibleMs;
    const { attempt } = message;
    // Answers come in any order: one of an earlier attempt had its lease before.
    const isLate = lease !== undefined && attempt < lease.attempt;
    const isKept = lease !== undefined && (isLate ? lease.nowMs < endMs : nowMs < lease.endMs);
    if (isKept && isWallSteady && !mayBeForgotten) {
      const other = isLate ? `attempt ${lease.attempt} came at ${lease.nowMs}` : 'again';
      this.wrong.push(`${group} got "${label}" at ${nowMs} ${other}, leased until ${isLate ? endMs : lease.endMs}`);
    }
    if (!isLate) this.leases.set(place, { endMs, epochs: askedEpochs, nowMs, attempt });
  }

  /** In order, and at its time. */
  private first(group: string, sent: Sent, { attempt }: ReceivedMessage, world: Circumstances): void {
    const { body, number, messageGroup, liteTopic, dueMs } = sent;
    const lane = messageGroup ?? liteTopic;
    // What nobody knows to be stored may be stored later than what was sent next to the same lite topic.
    if (lane !== undefined && (liteTopic === undefined || this.acknowledged.has(body))) {
      const key = `${group}/${lane}`;
      const before = this.furthest.get(key) ?? -1;
      if (number < before) this.wrong.push(`${group} got "${labelOf(body)}" for the first time after number ${before}`);
      this.furthest.set(key, Math.max(before, number));
    }
    if (dueMs === undefined) return;
    const earlyMs = dueMs - world.aheadMsMax - world.wallMs;
    if (earlyMs > 0) this.wrong.push(`${group} got "${labelOf(body)}" ${earlyMs} ms before its time`);
    if (world.wholeWallMs === undefined || attempt > 1) return; // It was handed out before, and the answer was lost.
    const lateMs = world.wallMs - Math.max(dueMs, world.wholeWallMs);
    if (lateMs > lateMsMax) this.wrong.push(`${group} got "${labelOf(body)}" ${lateMs} ms after its time`);
  }

  /** What nobody could do, or what was lost on its way too often. */
  deadLetter(of: Reading, message: ReceivedMessage, nowMs: number, world: Circumstances): void {
    const body = Buffer.from(message.body).toString();
    const sent = this.tried.get(body);
    const what = `the dead letter "${labelOf(body)}" of ${of.group}`;
    if (!sent) {
      this.wrong.push(`${what}: nobody sent that`);
      return;
    }
    const place = `${message.queueId}/${message.offset}`;
    const places = this.buried.get(body) ?? new Set();
    this.buried.set(body, places.add(place));
    // A send whose answer was lost may have been stored twice.
    const isDone = this.doneBodies.has(body);
    const copies = places.size > 1 || isDone ? world.copiesOf(`${labelOf(body)}.`) : 1;
    if (places.size > copies) {
      this.wrong.push(`${what} is there at ${[...places].join(' and ')}`);
    }
    const doneCount = this.doneBodies.get(body)?.size ?? 0;
    if (doneCount > 0 && doneCount + places.size > copies) this.wrong.push(`${what} was acknowledged`);
    const soonestMs = sent.beganMs + of.attemptsMax * of.invisibleMs;
    if (world.isWallSteady && nowMs < soonestMs) {
      this.wrong.push(`${what} came at ${nowMs}, and ${of.attemptsMax} attempts last until ${soonestMs}`);
    }
    this.missing.delete(body);
  }

  done(group: string, message: ReceivedMessage, nowMs: number): void {
    const place = placeOf(group, message);
    if (!this.doneMs.has(place)) this.doneMs.set(place, nowMs);
    const body = Buffer.from(message.body).toString();
    this.doneBodies.set(body, (this.doneBodies.get(body) ?? new Set()).add(place));
  }

  /** Acknowledged messages that have not come to the consumer group of their topic yet. */
  readonly missing = new Set<string>();

  private seenBy(group: string): Set<string> {
    let seen = this.seen.get(group);
    if (!seen) this.seen.set(group, (seen = new Set()));
    return seen;
  }
}

const labelOf = (body: string): string => body.split('.', 1)[0] ?? '';

const placeOf = (group: string, message: ReceivedMessage): string => `${group}/${placeIn(message)}`;

/** Of lite topics clients are not told the queue. */
const placeIn = ({ topic, liteTopic, queueId, offset }: ReceivedMessage): string =>
  `${topic}/${liteTopic ?? queueId}/${offset}`;
