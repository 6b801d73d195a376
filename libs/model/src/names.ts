import { MqError } from '@cometmq/shared';

/**
 * Names of topics and consumer groups, checked. Rules of the Java server's validators: letters, digits, `%`, `|`, `-`, `_`;
 * topics up to 127 characters, groups up to 120; the names RocketMQ keeps for itself are refused.
 */
declare const checked: unique symbol;
export type TopicName = string & { readonly [checked]: 'topic name' };
export type GroupName = string & { readonly [checked]: 'group name' };

export const topicNameLengthMax = 127;
export const groupNameLengthMax = 120;

const alphabet = /^[%|a-zA-Z0-9_-]+$/;

const systemTopics = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'CHECKPOINT_TOPIC',
]);
const systemTopicPrefix = 'rmq_sys_';
const systemGroupPrefix = 'CID_RMQ_SYS_';
const systemGroups = new Set([
  'DEFAULT_CONSUMER',
  'DEFAULT_PRODUCER',
  'TOOLS_CONSUMER',
  'SCHEDULE_CONSUMER',
  'FILTERSRV_CONSUMER',
  '__MONITOR_CONSUMER',
  'CLIENT_INNER_PRODUCER',
  'SELF_TEST_P_GROUP',
  'SELF_TEST_C_GROUP',
  'CID_ONS-HTTP-PROXY',
  'CID_ONSAPI_PERMISSION',
  'CID_ONSAPI_OWNER',
  'CID_ONSAPI_PULL',
]);

/** Where processes write what they have recorded of who did what. Written by them alone, and read by who may read this very topic. */
export const auditTopic = `${systemTopicPrefix}audit_log` as TopicName;

const dlqPrefix = '%DLQ%';
const retryPrefix = '%RETRY%';

/** @throws MqError ILLEGAL_TOPIC */
export function topicName(text: string | undefined): TopicName {
  const wrong = wrongName(text ?? '', topicNameLengthMax);
  if (wrong) throw new MqError('ILLEGAL_TOPIC', `topic ${wrong}`);
  const name = text as TopicName;
  if (systemTopics.has(name) || (name.startsWith(systemTopicPrefix) && name !== auditTopic)) {
    throw new MqError('ILLEGAL_TOPIC', `topic "${name}" is reserved for the system`);
  }
  return name;
}

/** @throws MqError ILLEGAL_CONSUMER_GROUP */
export function groupName(text: string | undefined): GroupName {
  const wrong = wrongName(text ?? '', groupNameLengthMax);
  if (wrong) throw new MqError('ILLEGAL_CONSUMER_GROUP', `consumer group ${wrong}`);
  const name = text as GroupName;
  if (systemGroups.has(name) || name.startsWith(systemGroupPrefix)) {
    throw new MqError('ILLEGAL_CONSUMER_GROUP', `consumer group "${name}" is reserved for the system`);
  }
  return name;
}

const liteAlphabet = /^[a-zA-Z0-9_-]+$/;

/** @throws MqError ILLEGAL_LITE_TOPIC */
export function liteTopicName(text: string, lengthMax: number): string {
  if (text.length <= lengthMax && liteAlphabet.test(text)) return text;
  throw new MqError(
    'ILLEGAL_LITE_TOPIC',
    `lite topic "${printable(text)}": 1 to ${lengthMax} letters, digits, "-" and "_" are allowed`,
  );
}

/** The topic that takes a group's dead letters. RocketMQ's nameService, so that its tools find it. */
export function deadLetterTopic(group: GroupName): TopicName {
  return `${dlqPrefix}${group}` as TopicName;
}

/** Made when they are needed, and not by clients: topics for dead letters and retries, and the audit log's. */
export function isInnerTopic(name: string): boolean {
  return name.startsWith(dlqPrefix) || name.startsWith(retryPrefix) || name === auditTopic;
}

/** A policy on all topics does not mean them: what allows something on them names them, or begins with what they begin with. */
export function isSystemTopic(name: string): boolean {
  return name.startsWith(systemTopicPrefix);
}

export function isDeadLetterTopic(name: string): boolean {
  return name.startsWith(dlqPrefix);
}

function wrongName(text: string, lengthMax: number): string | undefined {
  if (text.trim() === '') return 'must not be blank';
  if (text.length > lengthMax) return `name has ${text.length} characters, at most ${lengthMax} are allowed`;
  if (!alphabet.test(text)) return `name "${printable(text)}" may hold only letters, digits, "%", "|", "-" and "_"`;
  return undefined;
}

/** What a stranger sent, safe to show: control characters as escapes, cut at 64 characters. */
export function printable(text: string): string {
  const safe = text.replace(/\p{Cc}/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return safe.length > 64 ? `${safe.slice(0, 64)}…` : safe;
}
