/** `comet dlq`: dead letters of groups, by reason; replayed one, many or at a rate; exported. */
import type { Missing } from '@cometmq/admin';
import type { Command } from 'commander';
import { Option } from 'commander';
import { MqError, sleep } from '@cometmq/shared';

import { exitCode, type ExitCode } from '../exit-codes.js';
import { patientLook } from '../patience.js';
import { timeText, type View } from '../printer.js';
import type { RestClient } from '../rest-client.js';
import { examples, wholeNumber, type Act, type Session } from '../session.js';
import { momentOf } from './delayed.js';

interface Letter {
  readonly id: string;
  readonly messageId: string;
  readonly originTopic?: string;
  readonly storedMs: number;
  readonly cause?: string;
  readonly attempts?: number;
  readonly keys: readonly string[];
  readonly bodyBytes: number;
  readonly replayed?: { readonly atMs: number; readonly who: string; readonly mode: string };
}
interface Outcome {
  readonly id: string;
  readonly outcome: string;
}
interface Replay {
  readonly id: string;
  readonly state: string;
  readonly replayed: number;
  readonly resent: number;
  readonly left: Readonly<Record<string, number>>;
  readonly detail?: string;
}
interface FilterOptions {
  readonly cause?: string;
  readonly topic?: string;
  readonly from?: number;
  readonly to?: number;
}

interface LettersOfGroup {
  readonly group: string;
  readonly messages: number;
}
interface DeadLetterGroups {
  readonly items: readonly LettersOfGroup[];
  readonly missing: readonly Missing[];
}

const groupView: View<LettersOfGroup> = {
  name: ({ group }) => group,
  columns: [
    { title: 'GROUP', value: ({ group }) => group },
    { title: 'DEAD LETTERS', value: ({ messages }) => messages },
  ],
};
const letterView: View<Letter> = {
  name: ({ id }) => id,
  columns: [
    { title: 'SINCE', value: ({ storedMs }) => timeText(storedMs) },
    { title: 'MESSAGE ID', value: ({ messageId }) => messageId },
    { title: 'TOPIC', value: ({ originTopic }) => originTopic },
    { title: 'CAUSE', value: ({ cause }) => cause },
    { title: 'ATTEMPTS', value: ({ attempts }) => attempts },
    { title: 'KEYS', wide: true, value: ({ keys }) => keys.join(' ') },
    { title: 'BYTES', wide: true, value: ({ bodyBytes }) => bodyBytes },
    { title: 'REPLAYED', value: ({ replayed }) => (replayed ? `${timeText(replayed.atMs)} ${replayed.who}` : '') },
    { title: 'ID', value: ({ id }) => id },
  ],
};
const outcomeView: View<Outcome> = {
  name: ({ id }) => id,
  columns: [
    { title: 'OUTCOME', value: ({ outcome }) => outcome },
    { title: 'ID', value: ({ id }) => id },
  ],
};
const replayView: View<Replay> = {
  name: ({ id }) => id,
  columns: [
    { title: 'STATE', value: ({ state }) => state },
    { title: 'REPLAYED', value: ({ replayed }) => replayed },
    { title: 'SENT TO TOPIC', value: ({ resent }) => resent },
    {
      title: 'LEFT',
      value: ({ left }) =>
        Object.entries(left)
          .map((pair) => pair.join(': '))
          .join(', '),
    },
    { title: 'REPLAY', value: ({ id }) => id },
  ],
};

const idsAtOnce = 1_000;
const lookMs = 500;
const lettersOf = (group: string): string => `/dead-letters/${encodeURIComponent(group)}`;

const withFilter = (command: Command): Command =>
  command
    .addOption(new Option('--cause <cause>', 'why they became one').choices(['attemptsUsed', 'givenUp', 'unknown']))
    .option('--topic <topic>', 'sent to this topic')
    .option('--from <time>', 'became one at this time or later', momentOf)
    .option('--to <time>', 'became one before this time', momentOf);

function filterOf({ cause, topic, from, to }: FilterOptions) {
  return {
    ...(cause !== undefined && { cause }),
    ...(topic !== undefined && { originTopic: topic }),
    ...(from !== undefined && { fromMs: from }),
    ...(to !== undefined && { toMs: to }),
  };
}

export function deadLetterCommands(comet: Command, act: Act): void {
  const dlq = comet.command('dlq').description('Dead letters: why there are any, and what is done about them.');
  examples(dlq, 'comet dlq ls', 'comet dlq ls billing --cause givenUp', 'comet dlq replay billing --rate 200');

  const list = withFilter(dlq.command('ls [group]').alias('list'))
    .description('List groups with dead letters, or those of a group, newest first.')
    .option('-m, --max <n>', 'list at most this many', wholeNumber(1, 1_000_000), 100)
    .action(
      act(async (session, group: string | undefined, options: FilterOptions & { max: number }) => {
        const api = session.api();
        if (group === undefined) {
          const { items, missing } = await api.get<DeadLetterGroups>('/dead-letters');
          api.tellMissing(missing);
          session.printer.list(groupView, items);
        } else session.printer.list(letterView, await findLetters(api, group, options, options.max));
      }),
    );
  examples(list, 'comet dlq ls', 'comet dlq ls billing', 'comet dlq ls billing --topic orders -o jsonl');

  const replay = withFilter(dlq.command('replay <group> [ids...]'))
    .description(
      'Give dead letters to their group again: those named, or with --rate all that match and were not replayed yet.',
    )
    .option('--rate <n>', 'all that match, this many a second', wholeNumber(1, 10_000))
    .option('--to-topic', 'send to the topic, for all its groups, what the group alone can not get again')
    .action(
      act((session, group: string, ids: readonly string[], options: ReplayOptions) =>
        replayLetters(session, group, ids, options),
      ),
    );
  examples(replay, 'comet dlq replay billing <id>', 'comet dlq replay billing --rate 200 --cause attemptsUsed');

  const resend = dlq
    .command('resend <group> <id>')
    .description('Send a dead letter to its topic again as a new message, edited where options are given.')
    .option('--body <text>', 'its new body')
    .option('--tag <tag>', 'its new tag')
    .option('--key <key...>', 'its new keys')
    .action(
      act(async (session, group: string, id: string, options: { body?: string; tag?: string; key?: string[] }) => {
        const { body: text, tag, key: keys } = options;
        const body = {
          id,
          ...(text !== undefined && { text }),
          ...(tag !== undefined && { tag }),
          ...(keys && { keys }),
        };
        const sent = await session.api().call<{ messageId: string }>('POST', `${lettersOf(group)}/resend`, body);
        session.note(`sent again as ${sent.messageId}`);
      }),
    );
  examples(resend, 'comet dlq resend billing <id> --body \'{"total":12}\'');

  const exported = withFilter(dlq.command('export <group>'))
    .description('Print dead letters with their bodies, a JSON object a line.')
    .action(
      act(async (session, group: string, options: FilterOptions) => {
        const api = session.api(wholeOnly); // Whoever keeps what is written takes it for all there is.
        for (const { id } of await findLetters(api, group, options, Infinity)) {
          const whole = await api.get<object>(`/messages/${encodeURIComponent(id)}?bytes=4194304`);
          session.world.out(`${JSON.stringify(whole)}\n`);
          if (!(await session.world.written())) return;
        }
      }),
    );
  examples(exported, 'comet dlq export billing > billing.jsonl');
}

function wholeOnly(brokerSet: string, detail: string): never {
  throw new MqError('UNAVAILABLE', `${brokerSet} did not answer, so what it has would be left out: ${detail}`);
}

function findLetters(api: RestClient, group: string, options: FilterOptions, max: number): Promise<Letter[]> {
  const query = Object.fromEntries(Object.entries(filterOf(options)).map(([name, value]) => [name, String(value)]));
  return api.list<Letter>(lettersOf(group), query, max);
}

interface ReplayOptions extends FilterOptions {
  readonly rate?: number;
  readonly toTopic?: boolean;
}

async function replayLetters(
  session: Session,
  group: string,
  ids: readonly string[],
  options: ReplayOptions,
): Promise<ExitCode> {
  const { rate: perSecond, toTopic } = options;
  const api = session.api();
  if ((perSecond === undefined) === (ids.length === 0)) throw new MqError('CONFIG', 'give ids, or --rate for all');
  if (perSecond === undefined) {
    const outcomes: Outcome[] = [];
    for (let at = 0; at < ids.length; at += idsAtOnce) {
      const body = { ids: ids.slice(at, at + idsAtOnce) };
      outcomes.push(...(await api.call<{ items: Outcome[] }>('POST', `${lettersOf(group)}/replay`, body)).items);
    }
    session.printer.list(outcomeView, outcomes);
    return outcomes.every(({ outcome }) => outcome === 'replayed') ? exitCode.ok : exitCode.failed;
  }
  const order = { ...filterOf(options), perSecond, ...(toTopic === true && { toTopic }) };
  let replay = await api.call<Replay>('POST', `${lettersOf(group)}/replays`, order);
  const look = patientLook(session, `replay ${replay.id}`);
  while (replay.state === 'running') {
    if (session.world.interrupted.aborted) {
      await api.call('DELETE', `${lettersOf(group)}/replays/${replay.id}`);
      session.note('the replay was stopped; what it has replayed stays so');
      return exitCode.failed;
    }
    await sleep(session.world.clock, lookMs);
    const seen = await look(() => api.get<{ items: readonly Replay[] }>(`${lettersOf(group)}/replays`));
    if (!seen) continue;
    const now = seen.items.find(({ id }) => id === replay.id);
    if (!now) throw new MqError('NOT_FOUND', 'another process serves now, which knows nothing of this replay');
    replay = now;
  }
  session.printer.list(replayView, [replay]);
  if (replay.detail !== undefined) session.note(replay.detail);
  return replay.state === 'done' ? exitCode.ok : exitCode.failed;
}
