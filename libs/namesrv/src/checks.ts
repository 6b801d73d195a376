import {
  bodyMask,
  MessageType,
  printable,
  topicName,
  type GroupStart,
  type Permission,
  type RetryPolicy,
} from '@cometmq/model';
import { localAddress, type GroupChange, type MemberClaim, type TopicChange } from '@cometmq/client';
import { hostAndPort, MqError } from '@cometmq/shared';

/** What may be asked of the metadata. All throw MqError BAD_REQUEST with what is allowed. */
const minute = 60_000;
const day = 24 * 60 * minute;

export const limits = {
  queuesMax: 1_024,
  retentionMsMin: minute,
  retentionMsMax: 3_650 * day,
  retentionBytesMin: 1024 * 1024,
  attemptsMax: 1_000,
  retryDelayMsMax: 7 * day,
  retryStepsMax: 100,
  multiplierMax: 100,
  liteExpirationMsMin: 15 * minute,
  liteExpirationMsMax: 30 * day,
  liteQuotaMax: 1_000_000,
  liteEventsMax: 100_000,
  leaseMsMin: 500,
  leaseMsMax: 5 * minute,
} as const;

/**
 * The queue counts that a topic gets, in the order that keeps every message readable: consumers' queues grow with the
 * producers', and may become fewer only down to those that are written to already.
 */
export function queueCounts(
  change: Pick<TopicChange, 'writeQueues' | 'readQueues'>,
  now: { readonly writeQueues: number; readonly readQueues: number },
): { readonly writeQueues: number; readonly readQueues: number } {
  const writeQueues = change.writeQueues ?? now.writeQueues;
  const readQueues = change.readQueues ?? Math.max(now.readQueues, writeQueues);
  if (readQueues < writeQueues) {
    refuse(
      `${readQueues} read queues are fewer than ${writeQueues} write queues: what is sent to the others could not be ` +
        'consumed. Lower the write queues first',
    );
  }
  if (readQueues < now.writeQueues) {
    refuse(
      `messages are still sent to ${now.writeQueues} queues: lower the write queues to ${readQueues} first; once the queues ` +
        'above are consumed, lower the read queues',
    );
  }
  return { writeQueues, readQueues };
}

const permissions: readonly Permission[] = ['readWrite', 'read', 'write', 'none'];

export function checkTopic(change: TopicChange): void {
  whole('write queues', change.writeQueues, 1, limits.queuesMax);
  whole('read queues', change.readQueues, 1, limits.queuesMax);
  if (change.permission !== undefined && !permissions.includes(change.permission)) {
    refuse(`permission "${printable(change.permission)}" must be one of ${permissions.join(', ')}`);
  }
  // 0 stands for the broker's default.
  if (change.retentionMs !== 0)
    whole('retention in ms', change.retentionMs, limits.retentionMsMin, limits.retentionMsMax);
  if (change.retentionBytes !== 0) {
    whole('retention in bytes', change.retentionBytes, limits.retentionBytesMin, Number.MAX_SAFE_INTEGER);
  }
  if (change.bodyMask !== undefined) bodyMask(change.bodyMask);
  // 0 stands for never.
  if (change.liteExpirationMs !== 0) {
    const { liteExpirationMsMin, liteExpirationMsMax } = limits;
    whole('expiration of lite topics in ms', change.liteExpirationMs, liteExpirationMsMin, liteExpirationMsMax);
  }
}

export function checkMessageType(type: MessageType | undefined, allowed: readonly MessageType[]): void {
  if (type === undefined || allowed.includes(type)) return;
  const names = Object.entries(MessageType).filter(([, value]) => allowed.includes(value));
  refuse(`message type ${type} must be one of ${names.map(([name, value]) => `${value} (${name})`).join(', ')}`);
}

export function checkGroup(change: GroupChange): void {
  whole('attempts', change.attemptsMax, 1, limits.attemptsMax);
  if (change.retryPolicy) checkRetryPolicy(change.retryPolicy);
  if (change.start) checkStart(change.start);
  whole('end of the pause in ms since 1970', change.pausedUntilMs, 0, Number.MAX_SAFE_INTEGER);
  whole('priority factor', change.priorityFactor, 0, 100);
  if (change.lite) {
    topicName(change.lite.topic);
    whole('lite topics of a client', change.lite.clientQuota, 1, limits.liteQuotaMax);
    whole('events kept for a client', change.lite.eventsMax, 1, limits.liteEventsMax);
  }
}

function checkRetryPolicy(policy: RetryPolicy): void {
  switch (policy.kind) {
    case 'exponential':
      whole('first retry delay in ms', policy.initialMs, 1, limits.retryDelayMsMax);
      whole('longest retry delay in ms', policy.maxMs, policy.initialMs, limits.retryDelayMsMax);
      if (!(policy.multiplier >= 1 && policy.multiplier <= limits.multiplierMax)) {
        refuse(`retry multiplier ${policy.multiplier} must be from 1 to ${limits.multiplierMax}`);
      }
      return;
    case 'customized':
      whole('number of retry delays', policy.nextMs.length, 1, limits.retryStepsMax);
      for (const delayMs of policy.nextMs) whole('retry delay in ms', delayMs, 1, limits.retryDelayMsMax);
      return;
    default:
      refuse('retry policy must be exponential or customized');
  }
}

const starts: readonly GroupStart['at'][] = ['auto', 'first', 'end', 'time'];

function checkStart(start: GroupStart): void {
  if (!starts.includes(start.at)) refuse(`start "${printable(String(start.at))}" must be one of ${starts.join(', ')}`);
  if (start.at === 'time') whole('start time in ms since 1970', start.timeMs, 0, Number.MAX_SAFE_INTEGER);
}

const setAlphabet = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

export function checkSetName(name: string): void {
  if (setAlphabet.test(name)) return;
  refuse(`broker set "${printable(name)}" must be 1 to 63 letters, digits, ".", "_" and "-"`);
}

export function checkMemberClaim({ brokerSet, member, leaseMs, bootId, address }: MemberClaim): void {
  checkSetName(brokerSet);
  if (!/^[^/]+\/[^/]+$/.test(member) || member.length > 200) {
    refuse(`member "${printable(member)}" must be name/incarnation`);
  }
  whole('lease in ms', leaseMs, limits.leaseMsMin, limits.leaseMsMax);
  if (!/^[^\s/]{1,100}$/.test(bootId)) refuse(`boot id "${printable(bootId)}" must be 1 to 100 characters`);
  // Proxies, members and the dashboard API connect to whatever stands there.
  if (address !== localAddress && !hostAndPort(address)) refuse(`address "${printable(address)}" must be host:port`);
}

export function checkEpoch(epoch: number): void {
  whole('epoch', epoch, 1, Number.MAX_SAFE_INTEGER);
}

function whole(what: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return;
  refuse(`${what} is ${value}, must be a whole number from ${min} to ${max}`);
}

function refuse(reason: string): never {
  throw new MqError('BAD_REQUEST', reason);
}
