/**
 * What must be true whatever breaks: a message whose send was acknowledged is delivered; one whose consumption was
 * acknowledged is not delivered again to who asks later; nothing is delivered that was never sent, or was rolled back; no place of
 * a queue holds two messages; the messages of a group come to an orderly consumer group for the first time in the order in
 * which they were sent.
 */
import type { ReceivedMessage } from '@cometmq/client';

export interface Sent {
  readonly topic: string;
  readonly body: string;
  /** Of a message group: its name, and which of its messages this is. */
  readonly messageGroup?: string;
  readonly number: number;
}

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

  sending(sent: Sent): void {
    this.tried.set(sent.body, sent);
  }
  sent(sent: Sent): void {
    this.acknowledged.set(sent.body, sent);
    for (const act of this.waiting.splice(0)) act();
    if (![...this.seen.values()].some((bodies) => bodies.has(sent.body))) this.missing.add(sent.body);
  }

  /** It must not be delivered to anybody. */
  rolledBack(sent: Sent): void {
    this.never.add(sent.body);
  }

  /** Resolves in the moment in which a client hears that its message is stored. */
  nextSent(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** @param askedMs when the receive that brought it began */
  received(group: string, message: ReceivedMessage, askedMs: number): void {
    const body = Buffer.from(message.body).toString();
    const sent = this.tried.get(body);
    if (!sent || sent.topic !== message.topic) {
      this.wrong.push(`${group} got "${labelOf(body)}" of ${message.topic}, which nobody sent there`);
      return;
    }
    if (this.never.has(body)) this.wrong.push(`${group} got "${labelOf(body)}", which was rolled back`);
    const at = `${message.topic}/${message.queueId}/${message.offset}`;
    const first = this.places.get(at);
    if (first === undefined) this.places.set(at, body);
    else if (first !== body) this.wrong.push(`"${labelOf(first)}" and "${labelOf(body)}" have the place ${at}`);
    const doneMs = this.doneMs.get(placeOf(group, message));
    if (doneMs !== undefined && doneMs < askedMs) {
      this.wrong.push(`${group} got "${labelOf(body)}" at ${askedMs} again, acknowledged at ${doneMs}`);
    }
    const seen = this.seenBy(group);
    if (!seen.has(body) && sent.messageGroup !== undefined) {
      const key = `${group}/${sent.messageGroup}`;
      const before = this.furthest.get(key) ?? -1;
      if (sent.number < before)
        this.wrong.push(`${group} got "${labelOf(body)}" for the first time after number ${before}`);
      this.furthest.set(key, Math.max(before, sent.number));
    }
    seen.add(body);
    this.missing.delete(body);
  }

  done(group: string, message: ReceivedMessage, nowMs: number): void {
    const place = placeOf(group, message);
    if (!this.doneMs.has(place)) this.doneMs.set(place, nowMs);
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

function placeOf(group: string, { topic, queueId, offset }: ReceivedMessage): string {
  return `${group}/${topic}/${queueId}/${offset}`;
}
