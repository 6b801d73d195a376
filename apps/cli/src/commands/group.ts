import { Option, type Command } from 'commander';
import type { GroupItem, GroupReport, GroupView } from '@cometmq/admin';
import { pausedForGood, type GroupStart, type RetryPolicy } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { durationText, timeText, type Printer, type View } from '../printer.js';
import { durationMs, examples, wholeNumber, type Act } from '../session.js';
import { progressCommands } from './group-progress.js';
import { missingView } from './topic.js';

export interface GroupSettings {
  readonly fifo?: boolean;
  readonly attemptsMax?: number;
  readonly retryPolicy?: RetryPolicy;
  readonly start?: GroupStart;
  readonly priorityFactor?: number;
  readonly lite?: {
    readonly topic: string;
    readonly exclusive?: boolean;
    readonly wildcard?: boolean;
    readonly clientQuota?: number;
  };
}

export const groupPath = (name: string): string => `/groups/${encodeURIComponent(name)}`;

export const groupView: View<GroupView> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name }) => name },
    { title: 'FIFO', value: ({ fifo }) => fifo },
    { title: 'ATTEMPTS', value: ({ attemptsMax }) => attemptsMax },
    { title: 'PAUSED', value: ({ pausedUntilMs }) => pauseText(pausedUntilMs) },
    { title: 'START', value: ({ start }) => (start.at === 'time' ? timeText(start.timeMs) : start.at) },
    { title: 'RETRY', wide: true, value: ({ retryPolicy }) => retryText(retryPolicy) },
    { title: 'ID', wide: true, value: ({ id }) => id },
    { title: 'CREATED', wide: true, value: ({ createdMs }) => timeText(createdMs) },
  ],
};

const itemView: View<GroupItem> = {
  name: ({ name }) => name,
  columns: [
    ...groupView.columns.slice(0, 1),
    { title: 'LAG', value: ({ progress }) => progress?.lag },
    { title: 'IN FLIGHT', value: ({ progress }) => progress?.inFlight },
    { title: 'READY', value: ({ progress }) => progress?.ready },
    { title: 'MEMBERS', value: ({ progress }) => progress?.members },
    ...groupView.columns.slice(1),
    { title: 'NOT COUNTED', wide: true, value: ({ progress }) => progress?.missing.join(' ') },
  ],
};

const reportView: View<GroupReport> = {
  name: ({ name }) => name,
  columns: [
    ...groupView.columns,
    { title: 'LAG', value: ({ lag }) => lag },
    { title: 'IN FLIGHT', value: ({ inFlight }) => inFlight },
    { title: 'READY', value: ({ ready }) => ready },
    { title: 'BLOCKED', wide: true, value: ({ blocked }) => blocked },
    { title: 'LANES', wide: true, value: ({ lanes }) => lanes },
    { title: 'MEMBERS', value: ({ members }) => members.length },
  ],
};

const queueView: View<GroupReport['queues'][number]> = {
  name: ({ brokerSet, topic, queueId }) => `${brokerSet}/${topic}/${queueId}`,
  columns: [
    { title: 'TOPIC', value: ({ topic }) => topic },
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'QUEUE', value: ({ queueId }) => queueId },
    { title: 'COMMITTED', value: ({ committed }) => committed },
    { title: 'MAX', value: ({ maxOffset }) => maxOffset },
    { title: 'LAG', value: ({ lag }) => lag },
    { title: 'IN FLIGHT', value: ({ inFlight }) => inFlight },
    { title: 'READY', value: ({ ready }) => ready },
    { title: 'BLOCKED', wide: true, value: ({ blocked }) => blocked },
    { title: 'LANES', wide: true, value: ({ lanes }) => lanes },
    { title: 'FRONTIER', wide: true, value: ({ frontier }) => frontier },
    { title: 'MIN', wide: true, value: ({ minOffset }) => minOffset },
  ],
};

const memberView: View<GroupReport['members'][number]> = {
  name: ({ clientId }) => clientId,
  columns: [
    { title: 'CLIENT', value: ({ clientId }) => clientId },
    { title: 'SDK', value: ({ language, version }) => `${language} ${version}`.trim() },
    {
      title: 'SUBSCRIPTIONS',
      value: ({ subscriptions }) =>
        subscriptions.map(({ topic, filter, expression }) => `${topic} ${filter}:${expression}`).join(', '),
    },
  ],
};

const warningView: View<string> = { name: (text) => text, columns: [{ title: 'WARNING', value: (text) => text }] };

function pauseText(untilMs: number | undefined): string {
  if (untilMs === undefined || untilMs === 0) return '';
  return untilMs === pausedForGood ? 'until resumed' : timeText(untilMs);
}

export function printGroup(printer: Printer, report: GroupReport): void {
  const { queues, members, missing, warnings } = report;
  printer.one(
    reportView,
    report,
    { title: 'QUEUES', empty: queues.length === 0, print: () => printer.list(queueView, queues) },
    { title: 'MEMBERS', empty: members.length === 0, print: () => printer.list(memberView, members) },
    { title: 'WARNINGS', empty: warnings.length === 0, print: () => printer.list(warningView, warnings) },
    { title: 'DID NOT ANSWER', empty: missing.length === 0, print: () => printer.list(missingView, missing) },
  );
}

function retryText(policy: RetryPolicy): string {
  if (policy.kind === 'customized') return policy.nextMs.map(durationText).join(',');
  return `${durationText(policy.initialMs)} ×${policy.multiplier} to ${durationText(policy.maxMs)}`;
}

interface ChangeOptions {
  readonly fifo?: boolean;
  readonly attempts?: number;
  readonly start?: GroupStart;
  readonly retry?: RetryPolicy;
  readonly priorityFactor?: number;
  readonly liteTopic?: string;
  readonly liteExclusive?: boolean;
  readonly liteWildcard?: boolean;
  readonly liteQuota?: number;
}

function settingsOf(options: ChangeOptions): GroupSettings {
  const { fifo, attempts: attemptsMax, start, retry: retryPolicy, priorityFactor } = options;
  const lite = liteOf(options);
  return {
    ...(fifo !== undefined && { fifo }),
    ...(attemptsMax !== undefined && { attemptsMax }),
    ...(start !== undefined && { start }),
    ...(retryPolicy !== undefined && { retryPolicy }),
    ...(priorityFactor !== undefined && { priorityFactor }),
    ...(lite && { lite }),
  };
}

/** @throws MqError CONFIG */
function liteOf({ liteTopic, liteExclusive, liteWildcard, liteQuota }: ChangeOptions): GroupSettings['lite'] {
  const more = {
    ...(liteExclusive !== undefined && { exclusive: liteExclusive }),
    ...(liteWildcard !== undefined && { wildcard: liteWildcard }),
    ...(liteQuota !== undefined && { clientQuota: liteQuota }),
  };
  if (liteTopic !== undefined) return { topic: liteTopic, ...more };
  if (Object.keys(more).length > 0) throw new MqError('CONFIG', 'name the LITE topic with --lite-topic');
  return undefined;
}

/** @throws MqError CONFIG */
function startOf(text: string): GroupStart {
  if (text === 'auto' || text === 'first' || text === 'end') return { at: text };
  const timeMs = text.startsWith('@') ? Date.parse(text.slice(1)) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new MqError('CONFIG', `"${text}": must be auto, first, end or a time like @2026-11-22T10:00Z`);
  return { at: 'time', timeMs };
}

/** `1s,5s,30s`, or `exp:1s,2h,2`: first, longest, factor. @throws MqError CONFIG */
function retryOf(text: string): RetryPolicy {
  if (text.startsWith('exp:')) {
    const [initial = '', max = '', factor = '2'] = text.slice(4).split(',');
    const multiplier = Number(factor);
    if (!(multiplier >= 1)) throw new MqError('CONFIG', `"${text}": must be like exp:1s,2h,2`);
    return { kind: 'exponential', initialMs: durationMs(initial.trim()), maxMs: durationMs(max.trim()), multiplier };
  }
  return { kind: 'customized', nextMs: text.split(',').map((piece) => durationMs(piece.trim())) };
}

function withSettings(command: Command): Command {
  return command
    .option('--attempts <n>', 'deliveries before a message goes to the dead-letter topic', wholeNumber(1, 1000))
    .option(
      '--priority-factor <n>',
      'of a hundred polls on PRIORITY topics, how many go by priority',
      wholeNumber(0, 100),
    )
    .option('--lite-topic <topic>', 'the LITE topic that its lite consumers use')
    .option('--lite-exclusive', 'a lite topic has one subscriber; a new one replaces the one before')
    .option('--lite-wildcard', 'members receive from all lite topics without subscribing')
    .option('--lite-quota <n>', 'how many lite topics one client may subscribe to', wholeNumber(1, 1_000_000))
    .option('--start <where>', 'where to start in a new queue: auto, first, end or @time', startOf)
    .option(
      '--retry <durations>',
      'delays after failed deliveries, as 1s,5s,30s (the last one repeats) or exp:1s,2h,2',
      retryOf,
    )
    .addOption(new Option('--fifo', 'consume in order within each message group'))
    .addOption(new Option('--no-fifo', 'consume in any order').hideHelp());
}

export function groupCommands(comet: Command, act: Act): void {
  const group = comet.command('group').description('Consumer groups and their progress.');
  examples(group, 'comet group create billing', 'comet group ls', 'comet group describe billing');

  const create = withSettings(group.command('create <name>').description('Create a consumer group.'))
    .option('--if-missing', 'leave it as it is if it exists')
    .action(
      act(async (session, name: string, options: ChangeOptions & { ifMissing?: boolean }) => {
        const draft = { name, ...settingsOf(options) };
        const existing = options.ifMissing ? groupPath(name) : undefined;
        session.printer.list(groupView, [await session.api().make<GroupView>('/groups', draft, existing)]);
      }),
    );
  examples(
    create,
    'comet group create billing',
    'comet group create billing --attempts 5 --retry 1s,10s,1m --start end',
  );

  const list = group
    .command('ls')
    .alias('list')
    .description('List consumer groups with their lag and members.')
    .option('--contains <text>', 'only names that contain this')
    .action(
      act(async (session, { contains }: { contains?: string }) => {
        const { printer } = session;
        const progress = printer.format === 'name' ? undefined : 'true';
        const groups = await session.api().list<GroupItem>('/groups', { contains, progress });
        printer.list(itemView, groups);
        const silent = new Set(groups.flatMap((group) => group.progress?.missing ?? []));
        if (printer.forPeople && silent.size > 0)
          session.note(`not counted, as they do not answer: ${[...silent].join(', ')}`);
      }),
    );
  examples(list, 'comet group ls', 'comet group ls -o name');

  const describe = group
    .command('describe <name>')
    .description('Show a group, its progress in each queue and its members.')
    .action(
      act(async (session, name: string) => {
        printGroup(session.printer, await session.api().get<GroupReport>(groupPath(name)));
      }),
    );
  examples(describe, 'comet group describe billing', 'comet group describe billing -o json');

  const alter = withSettings(
    group.command('alter <name>').description('Change the settings given; the others stay.'),
  ).action(
    act(async (session, name: string, options: ChangeOptions) => {
      const change = settingsOf(options);
      if (Object.keys(change).length === 0) throw new MqError('CONFIG', 'nothing to change; --help shows what can be');
      session.printer.list(groupView, [await session.api().call<GroupView>('PATCH', groupPath(name), change)]);
    }),
  );
  examples(alter, 'comet group alter billing --attempts 3', 'comet group alter billing --retry 5s,1m');

  progressCommands(group, act);

  const remove = group
    .command('delete <name>')
    .alias('rm')
    .description('Delete a group with all its progress. `comet undo` brings it back while its grace lasts.')
    .option('--now', 'for good at once: it can not be brought back')
    .action(
      act(async (session, name: string, { now }: { now?: boolean }) => {
        await session.confirm(`Delete the consumer group "${name}" with all its progress?`);
        await session.api().call('DELETE', `${groupPath(name)}${now === true ? '?now=true' : ''}`);
        session.note(`consumer group "${name}" was deleted`);
      }),
    );
  examples(remove, 'comet group delete billing', 'comet group delete billing --yes');
}
