/** Which of the sets that stay get what a broker set that leaves hands over. */
import type { Directory } from '@cometmq/client';
import { hashText, homeSets, isHome, setOfHash, type BrokerSet } from '@cometmq/model';
import type { Clock, MqError } from '@cometmq/shared';

import { TryingAgain } from '../trying-again.js';

const tryAgainMsMax = 10_000;

export interface TargetParts {
  readonly directory: Directory;
  readonly brokerName: string;
  readonly clock: Clock;
}

export class TransferTargets {
  /** A broker set whose message groups go first. */
  waitsFor: string | undefined;
  /** Why a broker set takes none, in words. */
  private readonly problems = new Map<string, string>();
  private readonly resting = new TryingAgain<string>(tryAgainMsMax);
  private turn = 0;

  constructor(private readonly parts: TargetParts) {}

  /** What keeps messages from going, in words. */
  get problem(): string[] {
    const said = [...this.problems].map(([brokerSet, reason]) => `${brokerSet}: ${reason}`);
    if (this.waitsFor !== undefined) said.push(`message groups wait until ${this.waitsFor} has left`);
    return said;
  }

  /** One of the sets that take messages, in turn. */
  spread(): string | undefined {
    const takes = ({ name, stage, leader, writable }: BrokerSet): boolean =>
      stage === 'serving' && leader !== undefined && writable && this.isUp(name);
    const targets = this.others().filter(takes);
    this.turn += 1;
    return targets[this.turn % Math.max(1, targets.length)]?.name;
  }

  /** Where new messages of the group go once this set is gone. */
  homeOf(groupHash: number): string | undefined {
    const homes = homeSets(this.others());
    const home = homes[setOfHash(groupHash, homes.map(hashText))];
    return home !== undefined && this.isUp(home) ? home : undefined;
  }

  /** Of several sets that leave, the groups of one go at a time: else two could hand them to one another for ever. */
  mayMoveGroups(): boolean {
    const { brokerName } = this.parts;
    this.waitsFor = this.others()
      .filter((set) => set.stage === 'draining' && isHome(set))
      .find(({ name }) => name.localeCompare(brokerName, 'en', { numeric: true }) > 0)?.name;
    return this.waitsFor === undefined;
  }

  isUp(brokerSet: string): boolean {
    return this.resting.isDue(brokerSet, this.parts.clock.monotonicMs());
  }

  took(brokerSet: string): void {
    if (this.resting.over(brokerSet)) this.problems.delete(brokerSet);
  }

  /** It is asked again later. True: for the first time. */
  failed(brokerSet: string, error: MqError): boolean {
    this.problems.set(brokerSet, error.reason);
    return this.resting.failed(brokerSet, this.parts.clock.monotonicMs()).first;
  }

  private others(): BrokerSet[] {
    const { directory, brokerName } = this.parts;
    return [...directory.brokerSets()].filter(({ name }) => name !== brokerName);
  }
}
