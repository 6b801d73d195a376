/** etcd that is away, loses everything, or is set back to what it was. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { ClusterProcess } from '../../../../tools/cluster/process.ts';
import { until } from '../../../support/until.js';
import { bringBack, type Fault, killAll, lasting, pause, rest, type Stage, type Struck } from './fault.js';

/** The member of etcd that leads the others. */
async function etcdLeader({ cluster }: Stage): Promise<ClusterProcess> {
  const leads = async (etcd: ClusterProcess): Promise<boolean> =>
    /^etcd_server_is_leader 1$/m.test(await etcd.ask('/metrics'));
  return until('a leader of etcd', async () => {
    for (const etcd of cluster.etcds) if (await leads(etcd).catch(() => false)) return etcd;
    return undefined;
  });
}

/** Name servers end where etcd is another one, and find what it holds now. */
async function adopt({ cluster, clients, victims, set, note }: Stage, epochBefore: number): Promise<void> {
  await bringBack(cluster.etcds);
  await rest(2_000);
  await bringBack(cluster.namesrvs);
  const fromMs = performance.now();
  await until(
    'an adoption',
    () =>
      clients.rest('POST', '/cluster/adoption').then(
        () => true,
        () => false, // The dashboard API finds the name servers again by itself.
      ),
    60_000,
  );
  await until(`${set} in a later epoch`, async () => ((await victims.view(set))?.epoch ?? 0) > epochBefore, 60_000);
  note(`whole ${Math.round(performance.now() - fromMs)} ms after the verb`);
}

async function epochOf({ victims, set }: Stage): Promise<number> {
  return (await victims.view(set))?.epoch ?? 0;
}

const folders = ({ cluster, home }: Stage): string[] => cluster.etcds.map(({ name }) => join(home, name));

export const metadataFaults = {
  'etcd-leader': {
    words: "etcd's leader is killed (kill -9), and started again",
    keeps: ['every send', 'the leader'],
    strike: async (stage): Promise<Struck> => {
      const leader = await etcdLeader(stage);
      const atMs = performance.now();
      await killAll([leader]);
      const undo = async (): Promise<void> => {
        await stage.servesAgain();
        await bringBack([leader]);
      };
      return { atMs, undo };
    },
  },
  'etcd-pause': {
    words: "etcd's leader stands still for 10 s (SIGSTOP, SIGCONT)",
    keeps: ['every send', 'the leader'],
    strike: async (stage) => lasting(10_000, pause(await etcdLeader(stage))),
  },
  'etcd-away': {
    words: 'all of etcd is killed, and started again after 60 s',
    keeps: ['every send', 'the leader'],
    strike: async ({ cluster }) => {
      await killAll(cluster.etcds);
      return lasting(60_000, () => bringBack(cluster.etcds));
    },
  },
  'etcd-away-follower': {
    words: 'all of etcd is killed and a follower with it; the follower is back after 30 s, etcd after 60 s',
    keeps: ['every send', 'the leader'],
    strike: async ({ cluster, victims, set }) => {
      const { followers } = await victims.leader(set);
      const victim = victims.one(followers);
      const atMs = performance.now();
      await killAll([...cluster.etcds, victim]);
      const undo = async (): Promise<void> => {
        await rest(30_000);
        victim.launch();
        await rest(Math.max(0, atMs + 60_000 - performance.now()));
        await bringBack(cluster.etcds);
        await bringBack([victim]);
      };
      return { atMs, undo };
    },
  },
  'etcd-wiped': {
    words: 'all of etcd loses its data; 5 s later one verb brings it back (comet cluster adopt)',
    keeps: ['every send'],
    strike: async (stage) => {
      const epoch = await epochOf(stage);
      const atMs = performance.now();
      await killAll(stage.cluster.etcds);
      for (const folder of folders(stage)) rmSync(folder, { recursive: true });
      await bringBack(stage.cluster.etcds);
      const undo = async (): Promise<void> => {
        await rest(5_000);
        await adopt(stage, epoch);
      };
      return { atMs, undo };
    },
  },
  'etcd-old': {
    words:
      'all of etcd is set back to a copy from before a change of leaders; 5 s later one verb brings it back (comet ' +
      'cluster adopt)',
    keeps: ['every send'],
    strike: async (stage) => {
      const { cluster, victims, set, clients } = stage;
      await killAll(cluster.etcds);
      for (const folder of folders(stage)) cpSync(folder, `${folder}.old`, { recursive: true });
      await bringBack(cluster.etcds);
      const before = await epochOf(stage);
      await until(
        'a hand-over',
        () =>
          clients.rest('POST', `/broker-sets/${set}/election`, {}).then(
            () => true,
            () => false,
          ),
        60_000,
      );
      await until('a later epoch', async () => (await epochOf(stage)) > before);
      await victims.whole(set);
      const epoch = await epochOf(stage);
      const atMs = performance.now();
      await killAll(cluster.etcds);
      for (const folder of folders(stage)) {
        rmSync(folder, { recursive: true });
        cpSync(`${folder}.old`, folder, { recursive: true });
        rmSync(`${folder}.old`, { recursive: true });
      }
      await bringBack(cluster.etcds);
      const undo = async (): Promise<void> => {
        await rest(5_000);
        await adopt(stage, epoch);
      };
      return { atMs, undo };
    },
  },
} satisfies Record<string, Fault>;
