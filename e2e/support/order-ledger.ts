import type { Delivered, Receiver, Sender } from './ledger.js';
import { until } from './until.js';

const restMs = 50;
/** The shortest lease there is: what a crashed consumer held comes again after it. */
const invisibleMs = 10_000;

interface Lane {
  /** The highest number that anybody has been given. */
  high: number;
  /** Who may be at work on it, until when. */
  holder: object | undefined;
  untilMs: number;
  open: Set<number>;
}

/**
 * Counts what must be true of message groups through every failure: of a group, numbers only go up, but for deliveries
 * that say they are repeated; nobody is given a group that another has in hand; what was acknowledged as sent is
 * delivered; what was acknowledged as done is not delivered again.
 */
export class OrderLedger {
  readonly faults: string[] = [];
  acknowledgedSends = 0;
  deliveries = 0;
  redeliveries = 0;
  private readonly sent: Set<number>[] = [];
  private readonly seen: Set<number>[] = [];
  private readonly done: Set<number>[] = [];
  private readonly lanes: Lane[] = [];
  private readonly senders: Promise<void>[] = [];
  private sending = true;

  constructor(
    private readonly topic: string,
    private readonly groups: number,
    /** Between two sends to a group. */
    private readonly pauseMs = 0,
    /** Told of each send to a group that was acknowledged, or failed for good, how long it took, and what failed. */
    private readonly onSent: (group: number, acknowledged: boolean, tookMs: number, problem?: unknown) => void = () =>
      undefined,
  ) {
    for (let group = 0; group < groups; group += 1) {
      this.sent.push(new Set());
      this.seen.push(new Set());
      this.done.push(new Set());
      this.lanes.push({ high: -1, holder: undefined, untilMs: 0, open: new Set() });
    }
  }

  /** Sends to every group, one message after the other, until `settle`. */
  send(producer: Sender): void {
    for (let group = 0; group < this.groups; group += 1) this.senders.push(this.sendTo(producer, group));
  }

  /** One member: receives, and acknowledges in order, until it crashes or leaves. */
  member<M extends Delivered>(consumer: Receiver<M>): Member<M> {
    return new Member(this, consumer);
  }

  async more(count: number, why: string): Promise<void> {
    const before = this.acknowledgedSends;
    await until(`${count} more acknowledged sends ${why}`, () => this.acknowledgedSends >= before + count, 120_000);
  }

  /** Ends the sending and waits until everything was delivered and done. */
  async settle(waitMs = 90_000): Promise<void> {
    this.sending = false;
    await Promise.all(this.senders);
    await until(
      () => `every acknowledged message; missing: ${this.missing().slice(0, 10).join(', ')}`,
      () => this.missing().length === 0,
      waitMs,
    );
  }

  given(who: object, messages: readonly Delivered[], askedMs: number): void {
    const nowMs = performance.now();
    for (const message of messages) {
      const [group = 0, number = 0] = message.body.toString().split('-').map(Number);
      const lane = this.lanes[group] as Lane;
      const attempt = message.deliveryAttempt ?? 0;
      const what = `group ${group}: ${number} (attempt ${attempt})`;
      this.deliveries += 1;
      if (this.done[group]?.has(number)) this.faults.push(`${what} came after its acknowledgement`);
      if (number <= lane.high) {
        this.redeliveries += 1;
        if (attempt <= 1) this.faults.push(`${what} came after ${lane.high} and is not marked as repeated`);
      } else lane.high = number;
      if (lane.holder !== undefined && lane.holder !== who && lane.open.size > 0 && nowMs < lane.untilMs) {
        this.faults.push(`${what} was given out while another has the group in hand`);
      }
      if (lane.holder !== who || nowMs >= lane.untilMs) lane.open.clear();
      lane.holder = who;
      lane.untilMs = askedMs + invisibleMs;
      lane.open.add(number);
      this.seen[group]?.add(number);
    }
  }

  /** From now on the next one may be with another member, who may hear of it before this one has its answer. */
  acknowledges(message: Delivered): void {
    const [group = 0, number = 0] = message.body.toString().split('-').map(Number);
    this.lanes[group]?.open.delete(number);
  }

  acknowledged(message: Delivered): void {
    const [group = 0, number = 0] = message.body.toString().split('-').map(Number);
    this.done[group]?.add(number);
  }

  /** It said good-bye: what it held may be given to others. */
  left(who: object): void {
    for (const lane of this.lanes) if (lane.holder === who) lane.holder = undefined;
  }

  private missing(): string[] {
    return this.sent.flatMap((numbers, group) =>
      [...numbers].filter((number) => !this.seen[group]?.has(number)).map((number) => `${group}-${number}`),
    );
  }

  private async sendTo(producer: Sender, group: number): Promise<void> {
    for (let number = 0; this.sending; number += 1) {
      const body = Buffer.from(`${group}-${number}`);
      const fromMs = performance.now();
      try {
        await producer.send({ topic: this.topic, messageGroup: `group-${group}`, body });
        this.sent[group]?.add(number);
        this.acknowledgedSends += 1;
        this.onSent(group, true, performance.now() - fromMs);
      } catch (caught) {
        this.onSent(group, false, performance.now() - fromMs, caught);
        await rest(); // Unknown: it may come or not, but not behind the next one.
      }
      if (this.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.pauseMs));
    }
  }
}

export class Member<M extends Delivered = Delivered> {
  private working = true;
  private readonly over: Promise<void>;

  constructor(
    private readonly ledger: OrderLedger,
    private readonly consumer: Receiver<M>,
  ) {
    this.over = this.work();
  }

  /** What it has just received is never acknowledged, and nobody is told. */
  async crash(): Promise<void> {
    this.working = false;
    await this.over;
  }

  async leave(): Promise<void> {
    this.working = false;
    await this.over;
    this.ledger.left(this);
    await this.consumer.shutdown();
  }

  private async work(): Promise<void> {
    while (this.working) await this.workOnce().catch(rest);
  }

  private async workOnce(): Promise<void> {
    const askedMs = performance.now();
    const messages = await this.consumer.receive(16, invisibleMs);
    this.ledger.given(this, messages, askedMs);
    for (const message of messages) {
      if (!this.working) return;
      // An acknowledgement that comes after its lease has ended has no effect, and that is no fault.
      this.ledger.acknowledges(message);
      await this.consumer.ack(message).then(
        () => performance.now() < askedMs + invisibleMs && this.ledger.acknowledged(message),
        () => undefined, // Unknown: it may come again or not.
      );
    }
  }
}

function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, restMs));
}
