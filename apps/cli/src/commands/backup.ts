/** Backups of broker sets in a bucket. They are restored by a broker that starts on an empty folder: docs/backup.md. */
import type { Command } from 'commander';
import type { BackupFacts, BackupJob, BackupJobKind } from '@cometmq/client';
import { MqError, sleep } from '@cometmq/shared';

import { exitCode, type ExitCode } from '../exit-codes.js';
import { silentMsMax } from '../patience.js';
import { bytesText, timeText, type View } from '../printer.js';
import { examples, wholeNumber, type Act, type Session } from '../session.js';

interface Backups {
  readonly brokerSets: readonly {
    readonly brokerSet: string;
    readonly backups: readonly BackupFacts[];
    readonly job?: BackupJob;
  }[];
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
}

interface Begun {
  readonly id: string;
  readonly brokerSets: readonly string[];
  readonly missing: Backups['missing'];
}

type Row = BackupFacts & { readonly brokerSet: string };

const view: View<Row> = {
  name: ({ id, brokerSet }) => `${brokerSet}/${id}`,
  columns: [
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'BACKUP', value: ({ id }) => id },
    { title: 'LAST RECORD', value: ({ lastMs }) => timeText(lastMs) },
    { title: 'BYTES', value: ({ bytes }) => bytesText(bytes) },
    { title: 'NEW', value: ({ newBytes }) => bytesText(newBytes) },
    { title: 'TOOK MS', wide: true, value: ({ tookMs }) => tookMs },
    { title: 'EPOCH', wide: true, value: ({ epoch }) => epoch },
    { title: 'LOG END', wide: true, value: ({ end }) => end },
    { title: 'TOPICS', wide: true, value: ({ topics }) => topics },
    { title: 'GROUPS', wide: true, value: ({ groups }) => groups },
    { title: 'RELEASE', wide: true, value: ({ release }) => release },
  ],
};

const lookEveryMs = 500;

interface RunOptions {
  readonly set?: string;
  readonly wait: boolean;
}

/** Waits until a job of each set is over. @throws MqError where one failed, or its broker does not know of it any more */
async function outcome(session: Session, { id, brokerSets }: Begun, kind: BackupJobKind): Promise<readonly string[]> {
  const { clock, interrupted } = session.world;
  let heardMs = clock.monotonicMs();
  for (;;) {
    const now = await session
      .api()
      .get<Backups>('/backups?max=0')
      .catch((caught: unknown) => MqError.from(caught));
    const silent = now instanceof MqError ? now.reason : now.missing.find(isMeant)?.detail;
    if (now instanceof MqError && !now.retry && !interrupted.aborted) throw now;
    if (silent === undefined) heardMs = clock.monotonicMs();
    else if (clock.monotonicMs() - heardMs > silentMsMax) {
      throw new MqError('UNAVAILABLE', `${kind} ${id} may go on, but nobody says so: ${silent}`);
    }
    if (!(now instanceof MqError)) {
      const problems = problemsOf(now);
      if (problems) return problems;
    }
    if (interrupted.aborted) throw new MqError('CANCELLED', `${kind} ${id} goes on by itself: comet backup list`);
    await sleep(clock, lookEveryMs);
  }

  function isMeant({ brokerSet }: { readonly brokerSet: string }): boolean {
    return brokerSets.includes(brokerSet);
  }

  /** Undefined: it goes on. */
  function problemsOf(now: Backups): readonly string[] | undefined {
    const jobs = brokerSets.map((brokerSet) => {
      const found = now.brokerSets.find((one) => one.brokerSet === brokerSet)?.job;
      return { brokerSet, job: found?.id === id && found.kind === kind ? found : undefined };
    });
    const failed = jobs.find(({ job }) => job?.failure !== undefined);
    if (failed)
      throw new MqError('UNAVAILABLE', `${kind} ${id} of ${failed.brokerSet} failed: ${failed.job?.failure ?? ''}`);
    if (jobs.every(({ job }) => job?.endedMs !== undefined)) return jobs.flatMap(({ job }) => job?.problems ?? []);
    const lost = jobs.find(({ brokerSet, job }) => !job && !now.missing.some((one) => one.brokerSet === brokerSet));
    if (lost)
      throw new MqError('UNAVAILABLE', `${kind} ${id} of ${lost.brokerSet} was broken off: another broker leads now`);
    return undefined;
  }
}

function checkAllBegun({ missing }: Begun): void {
  const [first] = missing;
  if (first) throw new MqError('UNAVAILABLE', `${first.brokerSet}: ${first.detail}`);
}

export function backupCommands(comet: Command, act: Act): void {
  const backup = comet.command('backup').description('Backups of broker sets in a bucket (docs/backup.md).');
  examples(backup, 'comet backup run', 'comet backup list', 'comet backup verify 20261130T040000Z');

  const run = backup
    .command('run')
    .description('Make a backup of all broker sets, and wait until it is whole.')
    .option('--set <name>', 'only of this broker set')
    .option('--no-wait', 'return when it has begun')
    .action(
      act(async (session, { set, wait }: RunOptions): Promise<ExitCode> => {
        const draft = { ...(set !== undefined && { brokerSet: set }) };
        const begun = await session.api().call<Begun>('POST', '/backups', draft);
        if (wait) await outcome(session, begun, 'backup');
        session.note(`backup ${begun.id} of ${begun.brokerSets.join(', ')}: ${wait ? 'whole' : 'begun'}`);
        checkAllBegun(begun);
        return exitCode.ok;
      }),
    );
  examples(run, 'comet backup run', 'comet backup run --set broker-0 --no-wait');

  const list = backup
    .command('list')
    .alias('ls')
    .description('List the backups that are whole, newest first.')
    .option('--max <n>', 'so many of each broker set at the most', wholeNumber(1, 1_000), 20)
    .action(
      act(async (session, { max }: { readonly max: number }) => {
        const { brokerSets, missing } = await session.api().get<Backups>(`/backups?max=${max}`);
        const rows = brokerSets.flatMap(({ brokerSet, backups }) => backups.map((one) => ({ ...one, brokerSet })));
        session.printer.list(view, rows);
        for (const { brokerSet, job } of brokerSets) {
          if (job && job.endedMs === undefined) {
            const done = `${bytesText(job.bytesDone)} of ${bytesText(job.bytesTotal)}`;
            session.note(`${brokerSet}: ${job.kind} ${job.id} goes on, ${done}`);
          } else if (job?.failure !== undefined)
            session.note(`${brokerSet}: ${job.kind} ${job.id} failed: ${job.failure}`);
        }
        for (const { brokerSet, detail } of missing) session.note(`${brokerSet}: ${detail}`);
      }),
    );
  examples(list, 'comet backup list', 'comet backup list --max 3 -o wide');

  const verify = backup
    .command('verify <id>')
    .description('Read all of a backup again, and say whether each byte of it is there.')
    .option('--set <name>', 'only of this broker set')
    .action(
      act(async (session, id: string, { set }: { readonly set?: string }): Promise<ExitCode> => {
        const path = `/backups/${encodeURIComponent(id)}/verification`;
        const begun = await session.api().call<Begun>('POST', path, { ...(set !== undefined && { brokerSet: set }) });
        const problems = await outcome(session, begun, 'verification');
        for (const problem of problems) session.note(problem);
        session.note(
          `backup ${id} of ${begun.brokerSets.join(', ')}: ${problems.length === 0 ? 'whole' : 'not whole'}`,
        );
        checkAllBegun(begun);
        return problems.length === 0 ? exitCode.ok : exitCode.failed;
      }),
    );
  examples(verify, 'comet backup verify 20261130T040000Z');
}
