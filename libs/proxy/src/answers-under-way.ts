/**
 * Messages that were written to a client and are not known to have reached it. What went into a dead connection must not
 * stay away for as long as a client of the same name lives: it is given back, as if it had not been handed out,
 *
 * - at once, when its connection ends before the client's side has confirmed it;
 * - at once, when the client asks with the same attempt id again, as it does until it has had an answer;
 * - soon, when nothing confirms it while the client asks on another connection;
 * - after one lease, whatever else is known.
 *
 * What has arrived is the client's: its leases follow the client, not the connection, and outlive a reconnect.
 */
import type { BrokerLinks, DeliveryLease } from '@cometmq/client';
import type { Receipt } from '@cometmq/model';
import { type Clock, OwnStalls, type Timer } from '@cometmq/shared';

const beatMs = 1_000;
/** A connection that lives confirms in a round trip, and a little more where much is on its way. */
const elsewhereMsMax = 10_000;

export class AnswerUnderWay {
  over = false;
  /** The client has asked on another connection since. */
  elsewhere = false;

  constructor(
    private readonly owner: AnswersUnderWay,
    readonly clientId: string,
    readonly connection: number,
    readonly attemptId: string | undefined,
    readonly receipts: readonly Receipt[],
    /** When some of it was last taken by the connection. */
    public movedMs: number,
  ) {}

  readonly settle = (arrived: boolean): void => this.owner.settle(this, arrived);
}

export class AnswersUnderWay {
  private readonly byClient = new Map<string, Set<AnswerUnderWay>>();
  private beat: Timer | undefined;
  private stalls: OwnStalls | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly links: BrokerLinks,
    private readonly leaseMs: number,
    private readonly onGivenBack: (messages: number) => void,
  ) {}

  begin(
    clientId: string,
    connection: number,
    attemptId: string | undefined,
    receipts: readonly Receipt[],
  ): AnswerUnderWay {
    const answer = new AnswerUnderWay(this, clientId, connection, attemptId, receipts, this.clock.monotonicMs());
    const known = this.byClient.get(clientId);
    if (known) known.add(answer);
    else this.byClient.set(clientId, new Set([answer]));
    if (this.beat === undefined) {
      this.stalls = new OwnStalls(beatMs, answer.movedMs);
      this.lookLater();
    }
    return answer;
  }

  /** The client asks for messages, by this connection. */
  asked(clientId: string, connection: number, attemptId: string | undefined): void {
    const answers = this.byClient.get(clientId);
    if (!answers) return;
    for (const answer of answers) {
      if (attemptId !== undefined && attemptId !== '' && answer.attemptId === attemptId) this.settle(answer, false);
      else if (answer.connection !== connection) answer.elsewhere = true;
    }
  }

  settle(answer: AnswerUnderWay, arrived: boolean): void {
    if (answer.over) return;
    answer.over = true;
    const answers = this.byClient.get(answer.clientId);
    answers?.delete(answer);
    if (answers?.size === 0) this.byClient.delete(answer.clientId);
    if (!arrived) this.giveBack(answer.receipts);
  }

  giveBack(receipts: readonly Receipt[]): void {
    const [first] = receipts;
    if (!first) return;
    this.onGivenBack(receipts.length);
    // Where it fails they come again when their leases end.
    this.links.link(first.broker)?.handBack({ receipts }, () => undefined);
  }

  /** Deliveries of a broker set that are not known to have arrived: its leader is told. */
  unconfirmedOf(broker: string): DeliveryLease[] {
    const leases: DeliveryLease[] = [];
    for (const answers of this.byClient.values()) {
      for (const { receipts } of answers) {
        const [first] = receipts; // One answer is one delivery.
        if (first?.broker === broker) leases.push({ epoch: first.leaseEpoch, position: first.leasePosition });
      }
    }
    return leases;
  }

  stop(): void {
    this.beat?.cancel();
  }

  private lookLater(): void {
    this.beat = this.clock.after(beatMs, this.look);
  }

  private readonly look = (): void => {
    const nowMs = this.clock.monotonicMs();
    const stoodStill = this.stalls?.stoodStill(nowMs);
    for (const answers of this.byClient.values()) {
      for (const answer of answers) {
        if (stoodStill) answer.movedMs = nowMs; // Whether it has arrived is yet to be read.
        const idleMs = nowMs - answer.movedMs;
        if (idleMs >= this.leaseMs || (answer.elsewhere && idleMs >= elsewhereMsMax)) this.settle(answer, false);
      }
    }
    this.beat = undefined;
    if (this.byClient.size > 0) this.lookLater();
  };
}
