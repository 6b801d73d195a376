/** Cables that are out, for one direction or both, and slow ones. */
import type { ClusterProcess } from '../../../../tools/cluster/process.ts';
import { type Fault, lasting, rest, type Stage } from './fault.js';

const names = (processes: readonly ClusterProcess[]): string[] => processes.map(({ name }) => name);

/** Cut between any two processes that may speak to each other. */
function pairCut(ms: number, told: string): Fault {
  return {
    words: `the network between two processes, any, is out for ${told}`,
    needs: ['relay'],
    strike: ({ cluster, network, victims, note }) => {
      const { brokers, namesrvs, etcds, proxies } = cluster;
      const one = victims.one([...brokers, ...namesrvs, ...etcds]);
      const other = victims.one(
        etcds.includes(one)
          ? [...etcds.filter((each) => each !== one), ...namesrvs]
          : [...brokers, ...namesrvs, ...proxies].filter((each) => each !== one),
      );
      note(`${one.name} and ${other.name}`);
      return Promise.resolve(lasting(ms, network.cut(one.name, other.name)));
    },
  };
}

async function leadAndRest({ victims, set }: Stage): Promise<{ leader: string; followers: string[] }> {
  const { leader, followers } = await victims.leader(set);
  return { leader: leader.name, followers: names(followers) };
}

export const networkFaults = {
  'cut-leader': {
    words: 'the leader is cut off from its followers for 10 s',
    needs: ['relay'],
    strike: async (stage) => {
      const { leader, followers } = await leadAndRest(stage);
      return lasting(10_000, stage.network.cutAll([leader], followers));
    },
  },
  'cut-leader-off': {
    words: 'the leader is cut off from everybody for 10 s',
    needs: ['relay'],
    strike: async (stage) => {
      const { leader } = await leadAndRest(stage);
      const others = names(stage.cluster.processes).filter((name) => name !== leader);
      return lasting(10_000, stage.network.cutAll([leader], others));
    },
  },
  'cut-leader-metadata': {
    words: 'the leader is cut off from the name servers for 15 s',
    needs: ['relay'],
    keeps: ['every send'],
    strike: async (stage) => {
      const { leader } = await leadAndRest(stage);
      return lasting(15_000, stage.network.cutAll([leader], names(stage.cluster.namesrvs)));
    },
  },
  'cut-leader-proxies': {
    words: 'the leader is cut off from the proxies for 2 s',
    needs: ['relay'],
    strike: async (stage) => {
      const { leader } = await leadAndRest(stage);
      return lasting(2_000, stage.network.cutAll([leader], names(stage.cluster.proxies)));
    },
  },
  'cut-follower': {
    words: 'a follower is cut off from everybody for 10 s',
    needs: ['relay'],
    keeps: ['every send', 'the leader'],
    strike: async (stage) => {
      const { followers } = await stage.victims.leader(stage.set);
      const { name } = stage.victims.one(followers);
      const others = names(stage.cluster.processes).filter((other) => other !== name);
      return lasting(10_000, stage.network.cutAll([name], others));
    },
  },
  'leader-unheard': {
    words: 'for 10 s nobody in its set hears the leader, which hears them',
    needs: ['relay'],
    strike: async (stage) => {
      const { leader, followers } = await leadAndRest(stage);
      const undo = followers.map((name) => stage.network.cutOneWay(leader, name));
      return lasting(10_000, () => undo.forEach((each) => each()));
    },
  },
  'leader-deaf': {
    words: 'for 10 s the leader hears nobody in its set, and they hear it',
    needs: ['relay'],
    strike: async (stage) => {
      const { leader, followers } = await leadAndRest(stage);
      const undo = followers.map((name) => stage.network.cutOneWay(name, leader));
      return lasting(10_000, () => undo.forEach((each) => each()));
    },
  },
  bridge: {
    words: 'the leader and one follower are cut off from each other for 10 s; the other follower hears both',
    needs: ['relay', 'three members'],
    strike: async (stage) => {
      const { leader, followers } = await stage.victims.leader(stage.set);
      return lasting(10_000, stage.network.cut(leader.name, stage.victims.one(followers).name));
    },
  },
  flap: {
    words: 'the leader is cut off from its followers every other 2 s, five times',
    needs: ['relay'],
    strike: async (stage) => {
      const { leader, followers } = await leadAndRest(stage);
      const atMs = performance.now();
      const undo = async (): Promise<void> => {
        for (let i = 0; i < 5; i += 1) {
          const heal = stage.network.cutAll([leader], followers);
          await rest(2_000);
          heal();
          await rest(2_000);
        }
      };
      return { atMs, undo };
    },
  },
  reject: {
    words: 'connections of its followers to the leader are reset, and new ones refused, for 5 s, while it lives',
    needs: ['relay'],
    strike: async (stage) => {
      const { leader, followers } = await leadAndRest(stage);
      return lasting(5_000, stage.network.refuse(leader, followers));
    },
  },
  'cut-43ms': pairCut(43, '43 ms'),
  'cut-1s': pairCut(1_000, '1 s'),
  'cut-60s': pairCut(60_000, '60 s'),
  'slow-follower': {
    words: 'all that a follower says and hears takes 500 ms, for 15 s',
    needs: ['relay'],
    keeps: ['every send', 'the leader'],
    strike: async (stage) => {
      const { followers } = await stage.victims.leader(stage.set);
      const { name } = stage.victims.one(followers);
      const others = names(stage.cluster.processes).filter((other) => other !== name);
      const undo = others.map((other) => stage.network.slow(name, other, 500));
      return lasting(15_000, () => undo.forEach((each) => each()));
    },
  },
} satisfies Record<string, Fault>;
