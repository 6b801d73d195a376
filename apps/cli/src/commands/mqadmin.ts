import type { Command } from 'commander';
import type { GroupReport, GroupView, TopicReport, TopicView } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { wholeNumber, type Session, type Act } from '../session.js';
import { printCluster } from './cluster.js';
import { groupPath, groupView, printGroup, type GroupSettings } from './group.js';
import { resetGroup } from './group-progress.js';
import { receiveMessages } from './message.js';
import { sendMessages } from './send.js';
import { printTopic, topicPath, topicView, type TopicSettings } from './topic.js';

/**
 * Names and options of RocketMQ's mqadmin, as people paste them from wikis, for what exists here. Hidden: our own
 * commands are the ones to learn. Addresses of name servers and brokers are taken and ignored.
 */
export function mqadminCommands(comet: Command, act: Act): void {
  const hidden = (name: string, ours: string): Command =>
    comet
      .command(name, { hidden: true })
      .description(`mqadmin's name for "${ours}".`)
      .option('-n, --namesrvAddr <address>', 'ignored: --api says where the cluster is');

  hidden('updateTopic', 'comet topic create" or "comet topic alter')
    .requiredOption('-t, --topic <name>')
    .option('-c, --clusterName <name>', 'ignored')
    .option('-b, --brokerAddr <address>', 'ignored')
    .option('-r, --readQueueNums <n>', '', wholeNumber(1, 1024))
    .option('-w, --writeQueueNums <n>', '', wholeNumber(1, 1024))
    .option('-p, --perm <n>', '2 write, 4 read, 6 both', wholeNumber(0, 7))
    .option('-a, --attributes <list>', '+message.type=FIFO')
    .action(act(updateTopic));

  hidden('topicList', 'comet topic ls')
    .option('-c, --clusterModel', 'ignored')
    .action(
      act(async (session) => session.printer.list(topicView, await session.api().list<TopicView>('/topics', {}))),
    );

  for (const name of ['topicStatus', 'topicRoute']) {
    hidden(name, 'comet topic describe')
      .requiredOption('-t, --topic <name>')
      .action(
        act(async (session, { topic }: { topic: string }) => {
          printTopic(session.printer, await session.api().get<TopicReport>(topicPath(topic)));
        }),
      );
  }

  hidden('deleteTopic', 'comet topic delete')
    .requiredOption('-t, --topic <name>')
    .option('-c, --clusterName <name>', 'ignored')
    .action(
      act(async (session, { topic }: { topic: string }) => {
        await session.confirm(`Delete the topic "${topic}" with all its messages?`);
        await session.api().call('DELETE', topicPath(topic));
      }),
    );

  hidden('updateSubGroup', 'comet group create" or "comet group alter')
    .requiredOption('-g, --groupName <name>')
    .option('-c, --clusterName <name>', 'ignored')
    .option('-b, --brokerAddr <address>', 'ignored')
    .option('-r, --retryMaxTimes <n>', 'repetitions after the first delivery', wholeNumber(0, 999))
    .action(act(updateGroup));

  hidden('deleteSubGroup', 'comet group delete')
    .requiredOption('-g, --groupName <name>')
    .option('-c, --clusterName <name>', 'ignored')
    .option('-b, --brokerAddr <address>', 'ignored')
    .action(
      act(async (session, { groupName }: { groupName: string }) => {
        await session.confirm(`Delete the consumer group "${groupName}" with all its progress?`);
        await session.api().call('DELETE', groupPath(groupName));
      }),
    );

  for (const name of ['consumerProgress', 'consumerConnection', 'getConsumerConfig']) {
    hidden(name, 'comet group describe')
      .option('-g, --groupName <name>')
      .option('--consumerGroup <name>')
      .action(
        act(async (session, options: { groupName?: string; consumerGroup?: string }) => {
          const group = options.groupName ?? options.consumerGroup;
          if (group !== undefined) printGroup(session.printer, await session.api().get<GroupReport>(groupPath(group)));
          else session.printer.list(groupView, await session.api().list<GroupView>('/groups', {}));
        }),
      );
  }

  hidden('resetOffsetByTime', 'comet group reset --to @time')
    .requiredOption('-g, --group <name>')
    .requiredOption('-t, --topic <name>')
    .requiredOption('-s, --timestamp <time>', 'now, ms since 1970, or yyyy-MM-dd#HH:mm:ss:SSS')
    .option('-f, --force <flag>', 'ignored')
    .action(
      act((session, options: { group: string; topic: string; timestamp: string }) =>
        resetGroup(session, options.group, { topic: options.topic, to: timeOf(options.timestamp) }),
      ),
    );

  hidden('skipAccumulatedMessage', 'comet group reset --to end')
    .requiredOption('-g, --group <name>')
    .requiredOption('-t, --topic <name>')
    .option('-f, --force <flag>', 'ignored')
    .action(
      act((session, { group, topic }: { group: string; topic: string }) =>
        resetGroup(session, group, { topic, to: { at: 'end' } }),
      ),
    );

  hidden('cloneGroupOffset', 'comet group reset --to group:<name>')
    .requiredOption('-s, --srcGroup <name>')
    .requiredOption('-d, --destGroup <name>')
    .requiredOption('-t, --topic <name>')
    .option('-o, --offline', 'ignored')
    .action(
      act((session, { srcGroup, destGroup, topic }: { srcGroup: string; destGroup: string; topic: string }) =>
        resetGroup(session, destGroup, { topic, to: { at: 'group', group: srcGroup } }),
      ),
    );

  hidden('clusterList', 'comet cluster info')
    .option('-m, --moreStats', 'ignored: -o wide shows more')
    .action(act((session) => printCluster(session)));

  hidden('sendMessage', 'comet send')
    .requiredOption('-t, --topic <name>')
    .requiredOption('-p, --body <text>')
    .option('-k, --key <keys>')
    .option('-c, --tags <tag>')
    .action(
      act((session, { topic, body, key, tags }: { topic: string; body: string; key?: string; tags?: string }) =>
        sendMessages(session, topic, body, {
          ...(key !== undefined && { key: key.split(' ') }),
          ...(tags !== undefined && { tag: tags }),
        }),
      ),
    );

  hidden('consumeMessage', 'comet receive')
    .requiredOption('-t, --topic <name>')
    .requiredOption('-g, --consumerGroup <name>')
    .option('-c, --MessageNumber <n>', '', wholeNumber(1, 1_000_000), 128)
    .action(
      act((session, options: { topic: string; consumerGroup: string; MessageNumber: number }) =>
        receiveMessages(session, options.topic, {
          ...{ group: options.consumerGroup, max: options.MessageNumber, wait: 5_000, ack: true, invisible: 30_000 },
        }),
      ),
    );
}

interface UpdateTopicOptions {
  readonly topic: string;
  readonly readQueueNums?: number;
  readonly writeQueueNums?: number;
  readonly perm?: number;
  readonly attributes?: string;
}

async function updateTopic(session: Session, options: UpdateTopicOptions): Promise<void> {
  const { topic, readQueueNums: readQueues, writeQueueNums: writeQueues, perm, attributes } = options;
  const settings: TopicSettings = {
    ...(readQueues !== undefined && { readQueues }),
    ...(writeQueues !== undefined && { writeQueues }),
    ...(perm !== undefined && { permission: permissionOf(perm) }),
  };
  const type = attributes === undefined ? undefined : typeOf(attributes);
  const draft = { name: topic, ...(type !== undefined && { type }), ...settings };
  const made = await upsert<TopicView>(session, '/topics', topicPath(topic), draft, settings);
  session.printer.list(topicView, [made]);
}

async function updateGroup(session: Session, options: { groupName: string; retryMaxTimes?: number }): Promise<void> {
  const { groupName: name, retryMaxTimes: retries } = options;
  const settings: GroupSettings = retries === undefined ? {} : { attemptsMax: retries + 1 };
  const made = await upsert<GroupView>(session, '/groups', groupPath(name), { name, ...settings }, settings);
  session.printer.list(groupView, [made]);
}

/** mqadmin makes what is not there and changes what is. */
async function upsert<T>(session: Session, list: string, path: string, draft: object, change: object): Promise<T> {
  const api = session.api();
  try {
    return await api.call<T>('POST', list, draft);
  } catch (caught) {
    if (MqError.from(caught).code !== 'ALREADY_EXISTS') throw caught;
    return Object.keys(change).length === 0 ? api.get<T>(path) : api.call<T>('PATCH', path, change);
  }
}

/** mqadmin's ways to write a time; without a zone it is this machine's. @throws MqError CONFIG */
function timeOf(text: string): object {
  if (text === 'now') return { at: 'end' };
  if (/^\d{12,14}$/.test(text)) return { at: 'time', timeMs: Number(text) };
  const match = /^(\d{4}-\d\d-\d\d)#(\d\d:\d\d:\d\d)(?::(\d{1,3}))?$/.exec(text);
  const timeMs = match ? Date.parse(`${match[1]}T${match[2]}.${(match[3] ?? '0').padStart(3, '0')}`) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new MqError('CONFIG', `-s ${text}: must be now, ms since 1970, or like 2026-11-22#10:00:00:000`);
  return { at: 'time', timeMs };
}

/** @throws MqError CONFIG */
function permissionOf(perm: number): string {
  const names: Readonly<Record<number, string>> = { 0: 'none', 2: 'write', 4: 'read', 6: 'readWrite' };
  const name = names[perm];
  if (name === undefined) throw new MqError('CONFIG', `-p ${perm}: must be 2 (write), 4 (read) or 6 (both)`);
  return name;
}

/** @throws MqError CONFIG */
function typeOf(attributes: string): string {
  const match = /^\+message\.type=(\w+)$/.exec(attributes);
  if (!match?.[1]) throw new MqError('CONFIG', `-a ${attributes}: only +message.type=… is understood`);
  return match[1].toLowerCase();
}
