import { Option, type Command } from 'commander';
import type { TopicReport, TopicView } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { bytesText, durationText, timeText, type Printer, type View } from '../printer.js';
import { durationMs, examples, wholeNumber, type Act } from '../session.js';

export interface TopicSettings {
  readonly writeQueues?: number;
  readonly readQueues?: number;
  readonly permission?: string;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly liteExpirationMs?: number;
  readonly bodyMask?: string;
}

const messageTypes = ['normal', 'fifo', 'delay', 'transaction', 'priority', 'lite', 'mixed'];
const permissions = ['readWrite', 'read', 'write', 'none'];

export const topicPath = (name: string): string => `/topics/${encodeURIComponent(name)}`;

const retention = ({ retentionMs }: TopicView): string => (retentionMs === undefined ? '' : durationText(retentionMs));

export const topicView: View<TopicView> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name }) => name },
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'WRITE QUEUES', value: ({ writeQueues }) => writeQueues },
    { title: 'READ QUEUES', value: ({ readQueues }) => readQueues },
    { title: 'PERMISSION', value: ({ permission }) => permission },
    { title: 'RETENTION', wide: true, value: retention },
    { title: 'BYTES KEPT', wide: true, value: ({ retentionBytes }) => retentionBytes },
    { title: 'BODIES HIDDEN', wide: true, value: ({ bodyMask }) => bodyMask },
    { title: 'ID', wide: true, value: ({ id }) => id },
    { title: 'CREATED', wide: true, value: ({ createdMs }) => timeText(createdMs) },
  ],
};

const reportView: View<TopicReport> = {
  name: ({ name }) => name,
  columns: [
    ...topicView.columns,
    { title: 'MESSAGES', value: ({ messages }) => messages },
    { title: 'BYTES', value: ({ bytes }) => bytesText(bytes) },
  ],
};

const queueView: View<TopicReport['queues'][number]> = {
  name: ({ brokerSet, queueId }) => `${brokerSet}/${queueId}`,
  columns: [
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'QUEUE', value: ({ queueId }) => queueId },
    { title: 'MIN', value: ({ minOffset }) => minOffset },
    { title: 'MAX', value: ({ maxOffset }) => maxOffset },
    { title: 'MESSAGES', value: ({ minOffset, maxOffset }) => maxOffset - minOffset },
  ],
};

export const missingView: View<{ readonly brokerSet: string; readonly detail: string }> = {
  name: ({ brokerSet }) => brokerSet,
  columns: [
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'WHY', value: ({ detail }) => detail },
  ],
};

export function printTopic(printer: Printer, report: TopicReport): void {
  const { queues, missing } = report;
  const queueTable = { title: 'QUEUES', empty: queues.length === 0, print: () => printer.list(queueView, queues) };
  const silent = {
    title: 'DID NOT ANSWER',
    empty: missing.length === 0,
    print: () => printer.list(missingView, missing),
  };
  printer.one(reportView, report, queueTable, silent);
}

interface ChangeOptions {
  readonly queues?: number;
  readonly writeQueues?: number;
  readonly readQueues?: number;
  readonly permission?: string;
  readonly retention?: number;
  readonly retentionBytes?: number;
  readonly liteExpiration?: number;
  readonly bodyMask?: string;
}

function settingsOf(options: ChangeOptions): TopicSettings {
  const {
    queues,
    writeQueues = queues,
    readQueues = queues,
    permission,
    retention: retentionMs,
    retentionBytes,
    liteExpiration: liteExpirationMs,
    bodyMask,
  } = options;
  return {
    ...(writeQueues !== undefined && { writeQueues }),
    ...(readQueues !== undefined && { readQueues }),
    ...(permission !== undefined && { permission }),
    ...(retentionMs !== undefined && { retentionMs }),
    ...(retentionBytes !== undefined && { retentionBytes }),
    ...(liteExpirationMs !== undefined && { liteExpirationMs }),
    ...(bodyMask !== undefined && { bodyMask }),
  };
}

/** `default` takes a setting back: the REST API's 0. */
function orDefault(parse: (text: string) => number): (text: string) => number {
  return (text) => (text === 'default' ? 0 : parse(text));
}

function withSettings(command: Command): Command {
  const queues = wholeNumber(1, 1024);
  return command
    .option('-q, --queues <n>', 'write and read queues on each broker set', queues)
    .option('--write-queues <n>', 'queues that new messages go to', queues)
    .option('--read-queues <n>', 'queues that consumers read', queues)
    .addOption(new Option('--permission <p>', 'which of sending and receiving is allowed').choices(permissions))
    .option(
      '--retention <duration>',
      'how long messages are kept, as 72h or 7d; default: as the broker is configured',
      orDefault(durationMs),
    )
    .option('--lite-expiration <duration>', 'remove a lite topic that receives no message for this long', durationMs)
    .option(
      '--body-mask <fields>',
      'what of bodies is shown only to who may sub the topic: "*", or JSON fields as card.number,customer.*; default: nothing',
      (text: string) => (text === 'default' ? '' : text),
    )
    .option(
      '--retention-bytes <n>',
      'bytes kept on each broker set; default: no limit',
      orDefault(wholeNumber(1, Number.MAX_SAFE_INTEGER)),
    );
}

export function topicCommands(comet: Command, act: Act): void {
  const topic = comet.command('topic').description('Topics.');
  examples(topic, 'comet topic create orders --queues 16', 'comet topic ls', 'comet topic describe orders -o json');

  const create = withSettings(topic.command('create <name>').description('Create a topic.'))
    .addOption(new Option('--type <type>', 'type of its messages').choices(messageTypes))
    .option('--if-missing', 'leave it as it is if it exists')
    .action(
      act(async (session, name: string, options: ChangeOptions & { type?: string; ifMissing?: boolean }) => {
        const draft = { name, ...(options.type && { type: options.type }), ...settingsOf(options) };
        const existing = options.ifMissing ? topicPath(name) : undefined;
        session.printer.list(topicView, [await session.api().make<TopicView>('/topics', draft, existing)]);
      }),
    );
  examples(create, 'comet topic create orders', 'comet topic create orders --queues 16 --retention 7d');

  const list = topic
    .command('ls')
    .alias('list')
    .description('List topics.')
    .option('--all', 'dead-letter topics and other inner topics too')
    .option('--contains <text>', 'only names that contain this')
    .addOption(new Option('--type <type>', 'only topics of this type').choices(messageTypes))
    .action(
      act(async (session, options: { all?: boolean; contains?: string; type?: string }) => {
        const { all, contains, type } = options;
        const query = { contains, type, inner: all ? undefined : 'false' };
        session.printer.list(topicView, await session.api().list<TopicView>('/topics', query));
      }),
    );
  examples(list, 'comet topic ls', 'comet topic ls --contains order -o wide', 'comet topic ls -o name');

  const describe = topic
    .command('describe <name>')
    .description('Show a topic and the offsets of its queues.')
    .action(
      act(async (session, name: string) => {
        printTopic(session.printer, await session.api().get<TopicReport>(topicPath(name)));
      }),
    );
  examples(describe, 'comet topic describe orders', 'comet topic describe %DLQ%billing -o json');

  const alter = withSettings(
    topic.command('alter <name>').description('Change the settings given; the others stay.'),
  ).action(
    act(async (session, name: string, options: ChangeOptions) => {
      const change = settingsOf(options);
      if (Object.keys(change).length === 0) throw new MqError('CONFIG', 'nothing to change; --help shows what can be');
      session.printer.list(topicView, [await session.api().call<TopicView>('PATCH', topicPath(name), change)]);
    }),
  );
  examples(alter, 'comet topic alter orders --queues 32', 'comet topic alter orders --retention default');

  const remove = topic
    .command('delete <name>')
    .alias('rm')
    .description('Delete a topic with all its messages. `comet undo` brings it back while its grace lasts.')
    .option('--now', 'for good at once: it can not be brought back')
    .action(
      act(async (session, name: string, { now }: { now?: boolean }) => {
        await session.confirm(`Delete the topic "${name}" with all its messages?`);
        await session.api().call('DELETE', `${topicPath(name)}${now === true ? '?now=true' : ''}`);
        session.note(`topic "${name}" was deleted`);
      }),
    );
  examples(remove, 'comet topic delete orders', 'comet topic delete orders --yes');
}
