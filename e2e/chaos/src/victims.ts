/** Who leads, who follows, and who is whole again: found by asking the REST API, as an operator would. */
import type { ClusterProcess } from '../../../tools/cluster/process.ts';
import type { Cluster } from '../../support/cluster.js';
import { until } from '../../support/until.js';

/** A set in `GET /api/v1/cluster`. */
interface SetView {
  readonly name: string;
  readonly epoch: number;
  readonly leaderMember: string;
  readonly leader: string;
  readonly inSync: readonly string[];
}

export class Victims {
  constructor(
    readonly cluster: Cluster,
    private readonly chance: () => number,
  ) {}

  async view(set: string): Promise<SetView | undefined> {
    const answer = await fetch(`${this.cluster.restUrl}/api/v1/cluster`, { signal: AbortSignal.timeout(3_000) }).catch(
      () => undefined,
    );
    if (!answer?.ok) return undefined;
    const { brokerSets } = (await answer.json()) as { brokerSets: readonly SetView[] };
    return brokerSets.find(({ name }) => name === set);
  }

  members(set: string): readonly ClusterProcess[] {
    return this.cluster.sets[Number(set.split('-')[1])] ?? [];
  }

  /** The member that leads now, and the others. */
  async leader(set: string): Promise<{ leader: ClusterProcess; followers: readonly ClusterProcess[] }> {
    const members = this.members(set);
    const leader = await until(
      `a leader of ${set}`,
      async () => {
        const found = await this.view(set);
        return members.find(({ address }) => address === found?.leader);
      },
      60_000,
    );
    return { leader, followers: members.filter((member) => member !== leader) };
  }

  /** All members are there and keep up. @returns how long that took */
  async whole(set: string, waitMs = 90_000): Promise<number> {
    const fromMs = performance.now();
    const wanted = this.members(set).length;
    await until(
      `all members of ${set} in sync`,
      async () => {
        const found = await this.view(set);
        return found !== undefined && found.leader !== '' && found.inSync.length >= wanted;
      },
      waitMs,
    );
    return performance.now() - fromMs;
  }

  /** The ids of its members, each a place and the incarnation of its folder. */
  async memberIds(set: string): Promise<readonly string[]> {
    const answer = await fetch(`${this.cluster.restUrl}/api/v1/broker-sets/${set}`);
    const { members } = (await answer.json()) as { members: readonly { readonly member: string }[] };
    return members.map(({ member }) => member);
  }

  /** Of the last take-over of the set. */
  async phases(set: string): Promise<Readonly<Record<string, number>> | undefined> {
    const url = `${this.cluster.restUrl}/api/v1/broker-sets/${set}`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(3_000) }).catch(() => undefined);
    if (!answer?.ok) return undefined;
    const { lastFailover } = (await answer.json()) as { lastFailover?: Readonly<Record<string, unknown>> };
    if (!lastFailover) return undefined;
    const phases = Object.entries(lastFailover).filter(
      (entry): entry is [string, number] =>
        typeof entry[1] === 'number' && entry[0].endsWith('Ms') && entry[0] !== 'atMs',
    );
    return Object.fromEntries(phases);
  }

  one(processes: readonly ClusterProcess[]): ClusterProcess {
    return processes[Math.floor(this.chance() * processes.length)] as ClusterProcess;
  }
}
