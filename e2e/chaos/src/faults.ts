/**
 * What is done to a cluster: each fault knows whom it hits, how, and how the victim comes back. Leaders are found by
 * asking the REST API, as an operator would.
 */
import type { ClusterProcess } from '../../../tools/cluster/process.ts';
import type { Cluster } from '../../support/cluster.js';
import { until } from '../../support/until.js';

export const faultKinds = [
  'kill',
  'hand-over',
  'elect',
  'pause',
  'follower',
  'all',
  'namesrv',
  'proxy',
  'etcd',
  'nothing',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** In words, for the report. */
export const faultWords: Readonly<Record<FaultKind, string>> = {
  kill: 'the leader is killed (kill -9), and started again once sends succeed',
  'hand-over': 'the leader is asked to stop (SIGTERM), and started again',
  elect: 'the lead is handed to another member on request (comet cluster elect)',
  pause: 'the leader stands still for 8 s (SIGSTOP, SIGCONT)',
  follower: 'a follower is killed (kill -9), and started again',
  all: 'all members of the set are killed at once (kill -9), and started again',
  namesrv: 'a name server is killed (kill -9), and started again',
  proxy: 'the second proxy is killed (kill -9), and started again',
  etcd: 'a member of etcd is killed (kill -9), and started again',
  nothing: 'nothing: what the machine does by itself, over 5 s',
};

/** One member of a set in `GET /api/v1/cluster`. */
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

/** Does it, and returns how to undo it; `servesAgain` resolves when sends to the set succeed again. */
export async function strike(
  kind: FaultKind,
  set: string,
  victims: Victims,
  servesAgain: () => Promise<void>,
): Promise<{ readonly atMs: number; readonly undo: () => Promise<void> }> {
  const { cluster } = victims;
  const killed = async (processes: readonly ClusterProcess[], wait: boolean) => {
    const atMs = performance.now();
    for (const process of processes) process.killNow();
    await Promise.all(processes.map((process) => process.kill()));
    const undo = async (): Promise<void> => {
      if (wait) await servesAgain();
      for (const process of processes) process.launch();
      await Promise.all(processes.map((process) => process.ready(60_000)));
    };
    return { atMs, undo };
  };
  switch (kind) {
    case 'kill': {
      const { leader, followers } = await victims.leader(set);
      return killed([leader], followers.length > 0);
    }
    case 'follower': {
      const { followers } = await victims.leader(set);
      return killed([victims.one(followers)], true);
    }
    case 'all':
      return killed(victims.members(set), false);
    case 'namesrv':
      return killed([victims.one(cluster.namesrvs)], true);
    case 'proxy':
      return killed(cluster.proxies.slice(1, 2), true);
    case 'etcd':
      return killed([victims.one(cluster.etcds)], true);
    case 'hand-over': {
      const { leader } = await victims.leader(set);
      const atMs = performance.now();
      const stopped = leader.stop();
      return {
        atMs,
        undo: async () => {
          if (await stopped) throw new Error(`${leader.name} did not end by itself`);
          await leader.start(60_000);
        },
      };
    }
    case 'pause': {
      const { leader } = await victims.leader(set);
      const { pid } = leader;
      const atMs = performance.now();
      if (pid !== undefined) process.kill(pid, 'SIGSTOP');
      return {
        atMs,
        undo: async () => {
          await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs + 8_000 - performance.now())));
          if (pid !== undefined && leader.pid === pid) process.kill(pid, 'SIGCONT');
        },
      };
    }
    case 'nothing':
      return { atMs: performance.now(), undo: () => new Promise((resolve) => setTimeout(resolve, 5_000)) };
    case 'elect': {
      const { leader } = await victims.leader(set);
      const atMs = performance.now();
      const answer = await fetch(`${cluster.restUrl}/api/v1/broker-sets/${set}/election`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      });
      if (!answer.ok) throw new Error(`${set} could not be handed over by ${leader.name}: ${await answer.text()}`);
      return { atMs, undo: () => Promise.resolve() };
    }
  }
}
