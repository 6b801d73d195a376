import type { Command } from 'commander';
import type { ClusterReport } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { exitCode, type ExitCode } from '../exit-codes.js';
import { bytesText, timeText, type View } from '../printer.js';
import { durationOption, examples, type Session, type Act } from '../session.js';
import { removalCommands } from './cluster-removal.js';
import { healthKey, printHealth, readHealth, setCommands, type Health } from './cluster-sets.js';

type BrokerSetView = ClusterReport['brokerSets'][number];

const infoView: View<ClusterReport> = {
  name: ({ id }) => id,
  columns: [
    { title: 'CLUSTER', value: ({ id }) => id },
    { title: 'HEALTHY', value: ({ healthy, reasons }) => (healthy ? 'yes' : `no: ${reasons.join('; ')}`) },
    { title: 'TOPICS', value: ({ topics }) => topics },
    { title: 'GROUPS', value: ({ groups }) => groups },
  ],
};

export const brokerSetView: View<BrokerSetView> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name }) => name },
    { title: 'LEADER', value: ({ leader, leaderMember }) => leader || leaderMember },
    { title: 'EPOCH', value: ({ epoch }) => epoch },
    { title: 'IN SYNC', value: ({ inSync }) => inSync.length },
    { title: 'STAGE', value: ({ stage }) => stage },
    { title: 'WRITABLE', value: ({ writable }) => writable },
    { title: 'DISK', value: ({ state }) => state && bytesText(state.diskBytes) },
    { title: 'FREE', value: ({ state }) => state && bytesText(state.freeBytes) },
    { title: 'VERSION', value: ({ state }) => state?.version },
    { title: 'POLLS', wide: true, value: ({ state }) => state?.waitingPolls },
    { title: 'SESSIONS', wide: true, value: ({ state }) => state?.sessions },
    { title: 'LOG END', wide: true, value: ({ state }) => state?.appendEnd },
    { title: 'COMMITTED', wide: true, value: ({ state }) => state?.commitEnd },
    { title: 'OLDEST', wide: true, value: ({ state }) => timeText(state?.oldestMs) },
    { title: 'PROBLEM', wide: true, value: ({ problem }) => problem },
  ],
};

export async function printCluster(session: Session): Promise<void> {
  const report = await session.api().get<ClusterReport>('/cluster');
  const { brokerSets } = report;
  const { printer } = session;
  const sets = {
    title: 'BROKER SETS',
    empty: brokerSets.length === 0,
    print: () => printer.list(brokerSetView, brokerSets),
  };
  printer.one(infoView, report, sets);
}

interface HealthOptions {
  readonly watch?: boolean;
  readonly exitWhenHealthy?: boolean;
  readonly every: number;
}

export function clusterCommands(comet: Command, act: Act): void {
  const cluster = comet.command('cluster').description('State of the cluster and its broker sets.');
  examples(cluster, 'comet cluster health', 'comet cluster info', 'comet cluster info -o json');

  const health = cluster
    .command('health')
    .description(
      'Tell whether the cluster is healthy, and if not, why; and how well each broker set of several members is kept: who ' +
        'leads, how far the others are behind, and how long the last take-over took. Exits with 1 when it is not healthy.',
    )
    .option('--watch', 'keep watching and print every change; ends after --timeout')
    .option('--exit-when-healthy', 'watch until it is healthy, then exit with 0')
    .addOption(durationOption('--every <duration>', 'how often to check', 1000))
    .action(
      act(async (session, options: HealthOptions) => {
        if (options.watch || options.exitWhenHealthy) return watchHealth(session, options);
        const health = await readHealth(session);
        printHealth(session, health);
        return health.healthy ? exitCode.ok : exitCode.failed;
      }),
    );
  examples(
    health,
    'comet cluster health',
    'comet cluster health --watch',
    'comet cluster health --watch --exit-when-healthy --timeout 2m',
  );

  const info = cluster
    .command('info')
    .description('Show the cluster and its broker sets.')
    .action(act((session) => printCluster(session)));
  examples(info, 'comet cluster info', 'comet cluster info -o wide', 'comet cluster info -o json');

  const adopt = cluster
    .command('adopt')
    .description(
      'Bring topics and groups back from what the logs of brokers know, after the metadata (etcd) was emptied or set back ' +
        'to an old backup and brokers refuse it for that. They do it by themselves within the hour: at once where they ' +
        'run, at their next start where they stopped.',
    )
    .action(
      act(async (session) => {
        await session.confirm('Is the metadata lost for good? Brokers will replace it by what their logs know.');
        const { untilMs } = await session.api().call<{ untilMs: number }>('POST', '/cluster/adoption');
        session.note(`brokers may bring the metadata that their logs know until ${timeText(untilMs)}`);
      }),
    );
  examples(adopt, 'comet cluster adopt', 'comet cluster adopt --yes');

  setCommands(cluster, act);
  removalCommands(cluster, act);
}

/** Checks again and again; a cluster that does not answer counts as not healthy. */
async function watchHealth(session: Session, { exitWhenHealthy, every }: HealthOptions): Promise<ExitCode> {
  const { clock, interrupted } = session.world;
  const { timeout } = session.options;
  const endMs = timeout === undefined ? Infinity : clock.monotonicMs() + timeout;
  let said: string | undefined;
  for (;;) {
    const seen = await look(session);
    if (!seen) return exitCode.ok;
    const now = healthKey(seen);
    if (now !== said) printHealth(session, seen);
    said = now;
    if (seen.healthy && exitWhenHealthy) return exitCode.ok;
    if (interrupted.aborted) return exitCode.ok;
    const leftMs = endMs - clock.monotonicMs();
    if (leftMs <= 0) {
      if (!exitWhenHealthy) return seen.healthy ? exitCode.ok : exitCode.failed;
      throw new MqError('TIMEOUT', `not healthy within the time given: ${seen.reasons.join('; ')}`);
    }
    await sleepUnless(session, Math.min(every, leftMs));
  }
}

/** Undefined: it was interrupted. */
async function look(session: Session): Promise<Health | undefined> {
  try {
    return await readHealth(session);
  } catch (caught) {
    const error = MqError.from(caught);
    if (session.world.interrupted.aborted) return undefined;
    if (!error.retry) throw error;
    return { healthy: false, reasons: [error.reason], brokerSets: [] };
  }
}

/** Nothing of it is left when it is over: it is done again and again. */
function sleepUnless({ world: { clock, interrupted } }: Session, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      interrupted.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(ms, done);
    interrupted.addEventListener('abort', done);
    if (interrupted.aborted) done();
  });
}
