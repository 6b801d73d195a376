import type { RecallResult, SendResult } from '@cometmq/client';
import type { ConsumerGroup, EnvelopeDraft, PendingPlace, Topic } from '@cometmq/model';
import { assert, MqError, type Prng } from '@cometmq/shared';

import { settle } from '../broker-world.js';
import type { BrokerService } from '../broker-service.js';
import { sendCall, SetWorld } from '../member/set-world.js';

/** Codes of one that waits no more where it stood. */
const unknownHere: readonly string[] = ['MESSAGE_NOT_FOUND', 'INVALID_TRANSACTION_ID'];

export const pendingToo = { pendingBytesMax: 16 * 1024 * 1024 };

/** Two broker sets of which one leaves: message groups c, d and g are at home there. */
export class Cluster {
  readonly staying: SetWorld;
  leaving!: SetWorld;

  constructor(private readonly members = 1) {
    this.staying = new SetWorld(members, pendingToo);
  }

  async start(): Promise<this> {
    await this.staying.start();
    this.leaving = new SetWorld(this.members, { ...pendingToo, brokerName: 'broker-1' }, false, this.staying);
    await this.leaving.start();
    this.tell();
    return this;
  }

  get nameService(): SetWorld['nameService'] {
    return this.staying.nameService;
  }

  /** Who leads, as the name service says it. */
  tell(stage: 'serving' | 'draining' | 'gone' = 'serving'): void {
    for (const [set, itsStage] of [
      [this.staying, 'serving'],
      [this.leaving, stage],
    ] as const) {
      const leader = set.leaders[0]?.address;
      this.nameService.putSet({ name: set.name, stage: itsStage, ...(leader !== undefined && { leader }) });
    }
  }

  /** It leaves, and all that can go has gone. */
  async drain(isOver = () => this.left === 0): Promise<void> {
    this.tell('draining');
    await this.leaving.until(isOver, 'all has gone');
  }

  /** Messages that are not with the other set. */
  get left(): number {
    const { backlogs, views } = this.leaving.leader.broker;
    let sum = views.transfers.open().length + views.delayed.size + views.halfMessages.size;
    for (const groupId of backlogs.groupIds()) {
      for (const { ready, inFlight, blocked } of backlogs.of(groupId)) sum += ready + inFlight + blocked;
    }
    return sum;
  }

  /** What the group has to do at a set. */
  lag(set: SetWorld, group: ConsumerGroup): number {
    return set.leader.broker.backlogs
      .of(group.id)
      .reduce((sum, one) => sum + one.ready + one.inFlight + one.blocked, 0);
  }

  /** Delayed, or half of a transaction: at the set that leaves. */
  async pend(id: string, topic: Topic, draft: Partial<EnvelopeDraft>): Promise<PendingPlace> {
    const { pending } = await this.leaving.trying((broker) =>
      settle<SendResult>((done) => broker.send(sendCall(topic, 0, id, draft), done)),
    );
    assert(pending !== undefined, 'it waits');
    return pending;
  }

  /** As a proxy does with a handle of the set that leaves: where that does not know the message any more, the other may. */
  async atItsSet<T>(place: PendingPlace, ask: (broker: BrokerService, place: PendingPlace) => Promise<T>): Promise<T> {
    const { staying, leaving } = this;
    try {
      return await leaving.trying((broker) => ask(broker, place));
    } catch (caught) {
      if (!unknownHere.includes(MqError.from(caught).code)) throw caught;
      return staying.trying((broker) => ask(broker, { ...place, from: 'broker-1' }));
    }
  }

  recall(place: PendingPlace): Promise<RecallResult> {
    return this.atItsSet(place, (broker, at) => settle((done) => broker.recall({ place: at }, done)));
  }

  endTransaction(place: PendingPlace, resolution: 'commit' | 'rollback'): Promise<void> {
    return this.atItsSet(place, (broker, at) =>
      settle<void>((done) => broker.endTransaction({ place: at, resolution, checked: false }, done)),
    );
  }

  losesAnswers = true;
  /** Of what the staying set takes, while it loses answers, some is not answered, some is cut short. */
  loseAnswers(chance: Prng): void {
    const [member] = this.staying.members;
    assert(member !== undefined, 'a set has a member');
    const { broker } = member;
    const take = broker.takeTransfer.bind(broker);
    broker.takeTransfer = async (call) => {
      if (!this.losesAnswers) return take(call);
      const isCut = chance.chance(0.3);
      const messages = isCut ? call.messages.slice(0, chance.below(call.messages.length)) : call.messages;
      await take({ ...call, messages });
      if (isCut || chance.chance(0.3)) throw new MqError('UNAVAILABLE', 'the answer is lost');
    };
  }

  stop(): Promise<unknown> {
    return Promise.all([this.staying.stop(), this.leaving.stop()]);
  }
}
