/** Taking a broker set out of the cluster, in good order: no new messages, what it holds is consumed, then it is gone. */
import type { Command } from 'commander';
import type { SetRemains, SetReport } from '@cometmq/admin';
import { counted, MqError, sleep } from '@cometmq/shared';

import { patientLook } from '../patience.js';
import { examples, type Act, type Session } from '../session.js';

/** How often it is looked what is left. */
const everyMs = 1_000;

interface DrainOptions {
  readonly undo?: boolean;
}
interface RemoveOptions {
  readonly force?: boolean;
}

const setPath = (set: string): string => `/broker-sets/${encodeURIComponent(set)}`;

export function removalCommands(cluster: Command, act: Act): void {
  const drain = cluster
    .command('drain <set>')
    .description(
      'Send new messages to the other broker sets, while what this one holds is consumed. Messages of a message group still ' +
        'go to it until it is removed, so that their order holds.',
    )
    .option('--undo', 'it takes new messages again, also after it was removed')
    .action(
      act(async (session, set: string, { undo }: DrainOptions) => {
        await putStage(session, set, undo ? 'serving' : 'draining');
        session.note(`broker set "${set}" ${undo ? 'takes' : 'does not take'} new messages`);
      }),
    );
  examples(drain, 'comet cluster drain broker-1', 'comet cluster drain broker-1 --undo');

  const remove = cluster
    .command('remove <set>')
    .description(
      'Take a broker set out: drain it, wait until all that it holds is consumed, and take it out of all routes. Then it may be ' +
        'stopped. Interrupted or timed out (--timeout), it goes on draining, and the same command goes on with it.',
    )
    .option('--force', 'without waiting: what is not consumed yet is lost once the set is stopped')
    .action(
      act(async (session, set: string, { force }: RemoveOptions) => {
        let lost = 'nothing';
        if (force) {
          lost = await remainsOf(session, set).then(
            (remains) => textOf(remains),
            (caught: unknown) => uncounted(caught),
          );
          await session.confirm(`Take broker set "${set}" out? Once it is stopped, this is lost: ${lost}.`);
        } else {
          const { stage } = await session.api().get<SetReport>(setPath(set));
          if (stage === 'gone') {
            session.note(`broker set "${set}" is in no route already: it may be stopped`);
            return;
          }
          if (stage !== 'draining') {
            await session.confirm(`Take broker set "${set}" out, once what it holds is consumed?`);
            await putStage(session, set, 'draining');
          }
          await drained(session, set);
        }
        await session.api().call('DELETE', `${setPath(set)}${force ? '?force=true' : ''}`);
        const then = lost === 'nothing' ? ': it may be stopped' : `. Once it is stopped, this is lost: ${lost}`;
        session.note(`broker set "${set}" is in no route any more${then}`);
      }),
    );
  examples(remove, 'comet cluster remove broker-1', 'comet cluster remove broker-1 --force --yes');
}

function putStage(session: Session, set: string, stage: 'draining' | 'serving'): Promise<unknown> {
  return session.api().call('PUT', `${setPath(set)}/stage`, { stage });
}

function remainsOf(session: Session, set: string): Promise<SetRemains> {
  return session.api().get<SetRemains>(`${setPath(set)}/remains`);
}

/** Resolves when nothing is left. @throws MqError TIMEOUT, CANCELLED */
async function drained(session: Session, set: string): Promise<void> {
  const { clock, interrupted } = session.world;
  const { timeout } = session.options;
  const endMs = timeout === undefined ? Infinity : clock.monotonicMs() + timeout;
  const look = patientLook(session, `the draining of broker set "${set}"`);
  let text = 'what nobody could count';
  let said: string | undefined;
  for (;;) {
    const remains = await look(() => remainsOf(session, set));
    if (remains) {
      const { messages, delayed, transactions, onTheirWay } = remains;
      if (messages + delayed + transactions + onTheirWay === 0) return;
      text = textOf(remains);
      if (text !== said) session.note(`broker set "${set}" holds ${text}`);
      said = text;
    }
    if (interrupted.aborted) throw new MqError('CANCELLED', `broker set "${set}" goes on draining`);
    if (clock.monotonicMs() >= endMs) {
      throw new MqError('TIMEOUT', `broker set "${set}" still holds ${text}; it goes on draining`);
    }
    await sleep(clock, Math.min(everyMs, Math.max(1, endMs - clock.monotonicMs())));
  }
}

function textOf(remains: SetRemains): string {
  const { messages, delayed, transactions, onTheirWay, handedOver, problem, topics } = remains;
  const named = topics.slice(0, 5).map((each) => `${each.topic}: ${each.messages}`);
  if (topics.length > named.length) named.push(counted(topics.length - named.length, 'more topic'));
  const parts = [
    ...(messages > 0 ? [`${counted(messages, 'message')} not consumed (${named.join(', ')})`] : []),
    ...(delayed > 0 ? [counted(delayed, 'delayed message')] : []),
    ...(transactions > 0 ? [counted(transactions, 'open transaction')] : []),
    ...(onTheirWay > 0 ? [`${counted(onTheirWay, 'message')} on the way to other sets`] : []),
  ];
  const held = parts.join(', ') || 'nothing';
  const goes = [
    ...(handedOver > 0 ? [`${counted(handedOver, 'was', 'were')} handed over`] : []),
    ...(problem ? [problem] : []),
  ];
  return goes.length === 0 ? held : `${held}; ${goes.join('; ')}`;
}

/** @throws MqError unless it is the set that does not answer */
function uncounted(caught: unknown): string {
  const error = MqError.from(caught);
  if (error.code !== 'UNAVAILABLE' && error.code !== 'TIMEOUT') throw error;
  return `what it holds, which nobody can count (${error.reason})`;
}
