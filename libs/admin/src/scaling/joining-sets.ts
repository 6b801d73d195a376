/**
 * Broker sets that come to a cluster take message groups once it can't change their order: while new messages of groups wait
 * for a moment, what the other sets have of them is consumed, and then groups are spread over all of them. Where consumers do
 * not keep up, the new sets take everything else, and it is tried again later.
 */
import { lagOf } from '@cometmq/client';
import { type BrokerSet, isHome, isOrdered, type TopicId } from '@cometmq/model';
import { AgainAndAgain, failureFacts, inTurn, type Component } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import { within } from '../within.js';
import { changeWhileHeld } from './held-change.js';
import { putStage, type TakingContext } from './taking-out.js';

export interface JoiningSetsOptions {
  readonly context: TakingContext;
  readonly log: Logger;
  readonly everyMs: number;
}

/** How long the counting may take. */
const countMsMax = 30_000;
/** Groups asked about at once. */
const atOnce = 16;
/** With more than this it is not worth while to hold them up. */
const heldMax = 200;
/** Between two tries that hold them up in vain. */
const againMs = 10_000;
const againMsMax = 120_000;
/** Who holds it up is told so often. */
const tellMs = 3_600_000;
const toldMax = 5;

export class JoiningSets implements Component {
  readonly name = 'joining of broker sets';
  private readonly looks: AgainAndAgain;
  private pauseMs = againMs;
  private notBeforeMs = -Infinity;
  private toldMs = -Infinity;

  constructor(private readonly options: JoiningSetsOptions) {
    const { context, log, everyMs } = options;
    this.looks = new AgainAndAgain(
      context.clock,
      everyMs,
      () => this.look(),
      (caught) => log.warn(failureFacts(caught), 'new broker sets can not take message groups yet; trying again'),
    );
  }

  start(): Promise<void> {
    this.looks.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.looks.stop();
  }

  /** One look. */
  async look(): Promise<void> {
    const { clock } = this.options.context;
    const [joining, homes] = this.sets();
    const [next] = joining; // One at a time: each change of the sets that have groups is one of its own.
    if (!next) {
      this.rest();
      return;
    }
    if (clock.monotonicMs() < this.notBeforeMs) return;
    if (homes.some(({ leader }) => leader === undefined)) return; // Nobody can say what it has.
    const left = await this.leftIn(homes);
    if (sumOf(left) > heldMax) {
      this.wait(joining, left);
      return;
    }
    if (this.ordered().size === 0) {
      if (this.isAsBefore(next, homes)) await this.serve(next);
      return;
    }
    const given = await changeWhileHeld({
      clock,
      hold: (forMs, owner) => this.hold(homes, forMs, owner),
      count: () => this.leftIn(homes),
      isEmpty: ({ size }) => size === 0,
      change: async () => {
        if (!this.isAsBefore(next, homes)) return false;
        await this.serve(next);
        return true;
      },
    });
    if (given) this.wait(joining, given);
  }

  private async hold(homes: readonly BrokerSet[], forMs: number, owner: string): Promise<void> {
    const { brokers } = this.options.context;
    await Promise.all(homes.map(({ name }) => brokers.holdSends(name, forMs, owner, true)));
  }

  /** A set that came or went meanwhile has ended the wait at the others; the one that joins may be wanted no more. */
  private isAsBefore(next: BrokerSet, homes: readonly BrokerSet[]): boolean {
    const [joining, now] = this.sets();
    const isSame = (set: BrokerSet, at: number): boolean => set.name === homes[at]?.name;
    return joining.some(({ name }) => name === next.name) && now.length === homes.length && now.every(isSame);
  }

  private async serve({ name }: BrokerSet): Promise<void> {
    const { context, log } = this.options;
    await putStage(context, name, 'serving');
    log.warn({ brokerSet: name }, 'a broker set takes message groups from now on');
    this.rest();
  }

  /** Those that join and are led, and those that have groups. */
  private sets(): [BrokerSet[], BrokerSet[]] {
    const [joining, homes]: [BrokerSet[], BrokerSet[]] = [[], []];
    for (const set of this.options.context.directory.brokerSets()) {
      if (set.stage === 'joining' && set.leader !== undefined) joining.push(set);
      else if (isHome(set)) homes.push(set);
    }
    return [joining, homes];
  }

  private ordered(): Set<TopicId> {
    return new Set([...this.options.context.directory.topics()].filter(isOrdered).map(({ id }) => id));
  }

  /** Messages of topics with an order that consumer groups are not done with, by group. */
  private async leftIn(homes: readonly BrokerSet[]): Promise<ReadonlyMap<string, number>> {
    const { directory, brokers, clock } = this.options.context;
    const topics = this.ordered();
    const leftBy = new Map<string, number>();
    if (topics.size === 0) return leftBy;
    const asked = homes.flatMap((set) => [...directory.groups()].map((group) => ({ set, group })));
    const counting = inTurn(asked, atOnce, async ({ set, group }) => {
      const { queues, sums } = await brokers.describeGroup(set.name, group.id);
      let left = 0;
      for (const each of [...queues, ...sums]) if (topics.has(each.topicId)) left += lagOf(each);
      if (left > 0) leftBy.set(group.name, (leftBy.get(group.name) ?? 0) + left);
    });
    await within(clock, countMsMax, 'what consumer groups have to do', counting);
    return leftBy;
  }

  /** Consumers do not keep up with their message groups. */
  private wait(joining: readonly BrokerSet[], left: ReadonlyMap<string, number>): void {
    const { context, log } = this.options;
    const nowMs = context.clock.monotonicMs();
    if (left.size > 0 && nowMs - this.toldMs >= tellMs) {
      this.toldMs = nowMs;
      const most = [...left].sort(([, one], [, other]) => other - one).slice(0, toldMax);
      const facts = { brokerSets: joining.map(({ name }) => name), groups: Object.fromEntries(most) };
      log.warn(
        facts,
        'new broker sets take no message groups yet: consumer groups are not done with theirs at the others',
      );
    }
    this.notBeforeMs = nowMs + this.pauseMs;
    this.pauseMs = Math.min(againMsMax, 2 * this.pauseMs);
  }

  private rest(): void {
    this.toldMs = -Infinity;
    this.pauseMs = againMs;
    this.notBeforeMs = -Infinity;
  }
}

function sumOf(left: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const messages of left.values()) sum += messages;
  return sum;
}
