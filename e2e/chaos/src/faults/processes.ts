/** Processes that die, stand still, or are asked to stop. */
import type { ClusterProcess } from '../../../../tools/cluster/process.ts';
import { bringBack, type Fault, killAll, lasting, pause, rest, type Stage, type Struck } from './fault.js';

/** kill -9; started again once sends succeed without it, or at once. */
async function killed({ servesAgain }: Stage, processes: readonly ClusterProcess[], wait = true): Promise<Struck> {
  const atMs = performance.now();
  await killAll(processes);
  return {
    atMs,
    undo: async () => {
      if (wait) await servesAgain();
      await bringBack(processes);
    },
  };
}

export const processFaults = {
  nothing: {
    words: 'nothing: what the machine does by itself, over 5 s',
    keeps: ['every send', 'the leader'],
    strike: () => Promise.resolve(lasting(5_000, () => undefined)),
  },
  kill: {
    words: 'the leader is killed (kill -9), and started again once sends succeed',
    strike: async (stage) => {
      const { leader, followers } = await stage.victims.leader(stage.set);
      return killed(stage, [leader], followers.length > 0);
    },
  },
  follower: {
    words: 'a follower is killed (kill -9), and started again',
    keeps: ['every send', 'the leader'],
    strike: async (stage) => {
      const { followers } = await stage.victims.leader(stage.set);
      return killed(stage, [stage.victims.one(followers)]);
    },
  },
  all: {
    words: 'all members of the set are killed at once (kill -9), and started again',
    strike: (stage) => killed(stage, stage.victims.members(stage.set), false),
  },
  any: {
    words: 'any broker, name server or proxy but the first is killed (kill -9), and started again',
    strike: (stage) => {
      const { brokers, namesrvs, proxies } = stage.cluster;
      return killed(stage, [stage.victims.one([...brokers, ...namesrvs, ...proxies.slice(1)])]);
    },
  },
  'in-recovery': {
    words: 'the leader is killed (kill -9), and three times more while it starts',
    strike: async (stage) => {
      const { leader } = await stage.victims.leader(stage.set);
      const struck = await killed(stage, [leader]);
      return {
        atMs: struck.atMs,
        undo: async () => {
          await stage.servesAgain();
          for (let i = 0; i < 3; i += 1) {
            leader.launch();
            await rest(150 + stage.chance() * 700);
            await leader.kill();
          }
          await bringBack([leader]);
        },
      };
    },
  },
  'hand-over': {
    words: 'the leader is asked to stop (SIGTERM), and started again',
    keeps: ['every send'],
    strike: async ({ victims, set }) => {
      const { leader } = await victims.leader(set);
      const atMs = performance.now();
      const stopped = leader.stop();
      return {
        atMs,
        undo: async () => {
          if (await stopped) throw new Error(`${leader.name} did not end by itself`);
          await bringBack([leader]);
        },
      };
    },
  },
  elect: {
    words: 'the lead is handed to another member on request (comet cluster elect)',
    keeps: ['every send'],
    strike: async ({ victims, set, clients }) => {
      await victims.leader(set);
      const atMs = performance.now();
      await clients.rest('POST', `/broker-sets/${set}/election`, {});
      return { atMs, undo: () => Promise.resolve() };
    },
  },
  pause: {
    words: 'the leader stands still for 8 s (SIGSTOP, SIGCONT)',
    strike: async ({ victims, set }) => {
      const { leader } = await victims.leader(set);
      return lasting(8_000, pause(leader));
    },
  },
  'pause-long': {
    words: 'the leader stands still for 60 s (SIGSTOP, SIGCONT)',
    strike: async ({ victims, set }) => {
      const { leader } = await victims.leader(set);
      return lasting(60_000, pause(leader));
    },
  },
  'pause-follower': {
    words: 'a follower stands still for 8 s (SIGSTOP, SIGCONT)',
    keeps: ['every send', 'the leader'],
    strike: async ({ victims, set }) => {
      const { followers } = await victims.leader(set);
      return lasting(8_000, pause(victims.one(followers)));
    },
  },
  'pause-proxy': {
    words: 'the second proxy stands still for 8 s (SIGSTOP, SIGCONT)',
    keeps: ['every send', 'the leader'],
    strike: ({ cluster }) =>
      Promise.resolve(lasting(8_000, pause((cluster.proxies[1] ?? cluster.proxies[0]) as ClusterProcess))),
  },
  behind: {
    words:
      'a follower stands still while messages come; then the two others are killed, it goes on without their last ' +
      'records, and is in the first quorum',
    needs: ['three members'],
    strike: async (stage) => {
      const { leader, followers } = await stage.victims.leader(stage.set);
      const late = stage.victims.one(followers);
      const other = followers.find((each) => each !== late) as ClusterProcess;
      const goOn = pause(late);
      await stage.more(20);
      const atMs = performance.now();
      await killAll([leader, other]);
      goOn();
      return {
        atMs,
        undo: async () => {
          await bringBack([late, other]);
          await stage.servesAgain();
          await bringBack([leader]);
        },
      };
    },
  },
  rolling: {
    words: 'every process is asked to stop (SIGTERM) and started again, one after the other',
    keeps: ['every send'],
    strike: ({ cluster, victims, set, servesAgain }) => {
      const atMs = performance.now();
      const undo = async (): Promise<void> => {
        // The first proxy is the clients' only one, as no client of a single address outlives it without a pause.
        const all = [...cluster.etcds, ...cluster.namesrvs, ...cluster.brokers, ...cluster.proxies.slice(1)];
        for (const process of all) {
          if (await process.stop()) throw new Error(`${process.name} did not end by itself`);
          await bringBack([process]);
          await victims.whole(set);
        }
        await servesAgain();
      };
      return Promise.resolve({ atMs, undo });
    },
  },
  namesrv: {
    words: 'a name server is killed (kill -9), and started again',
    keeps: ['every send', 'the leader'],
    strike: (stage) => killed(stage, [stage.victims.one(stage.cluster.namesrvs)]),
  },
  namesrvs: {
    words: 'all name servers are killed at once (kill -9), and started again after 10 s',
    keeps: ['every send', 'the leader'],
    strike: async ({ cluster }) => {
      await killAll(cluster.namesrvs);
      return lasting(10_000, () => bringBack(cluster.namesrvs));
    },
  },
  proxy: {
    words: 'the second proxy is killed (kill -9), and started again',
    keeps: ['every send', 'the leader'],
    strike: (stage) => killed(stage, stage.cluster.proxies.slice(1, 2)),
  },
  etcd: {
    words: 'a member of etcd is killed (kill -9), and started again',
    keeps: ['every send', 'the leader'],
    strike: (stage) => killed(stage, [stage.victims.one(stage.cluster.etcds)]),
  },
} satisfies Record<string, Fault>;
