import type { Directory, SendCall } from '@cometmq/client';
import { hashText, homeSets, setOfHash } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** What the metadata says of this broker's set: whether it takes messages, and which message groups are its. */
export class SetStanding {
  private removed = false;
  /** Sets that message groups are spread over. */
  private homes: readonly string[] = [];
  private homeHashes: readonly number[] = [];

  constructor(
    private readonly directory: Pick<Directory, 'brokerSet' | 'brokerSets'>,
    private readonly brokerName: string,
  ) {}

  /** In no route any more. */
  get isRemoved(): boolean {
    return this.removed;
  }

  /** To be called when the directory has changed. True: what was sent here, or a part of it, goes elsewhere now. */
  look(): boolean {
    const { directory, brokerName } = this;
    const stage = directory.brokerSet(brokerName)?.stage;
    const removed = stage === 'gone';
    const changes = removed !== this.removed;
    this.removed = removed;
    // Of a set that the directory has not heard of, nobody knows yet whose its groups are.
    const homes = stage === undefined ? [] : homeSets(directory.brokerSets());
    if (homes.length === this.homes.length && homes.every((name, at) => name === this.homes[at])) return changes;
    this.homes = homes;
    this.homeHashes = homes.map(hashText);
    return true;
  }

  /**
   * Why a send is to go elsewhere: it comes by an older route. What has a message group is taken where that group is at home
   * only, as otherwise what follows it might overtake it.
   */
  refusal({ groupHash }: Pick<SendCall, 'groupHash'>): MqError | undefined {
    const { brokerName, homes } = this;
    if (this.removed) {
      return new MqError('UNAVAILABLE', `broker set ${brokerName} was removed: other sets take new messages`);
    }
    if (groupHash === 0 || homes.length === 0 || (homes.length === 1 && homes[0] === brokerName)) return undefined;
    const home = homes[setOfHash(groupHash, this.homeHashes)];
    if (home === brokerName) return undefined;
    return new MqError('STALE_LAYOUT', `messages of this message group go to broker set ${String(home)} now`);
  }
}
