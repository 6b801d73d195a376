/**
 * Receipt handles as clients bring them back: to any proxy, after any number of restarts and changes of leader. A
 * handle that this cluster did not write, or wrote for somebody else, is INVALID_RECEIPT_HANDLE: clients take every
 * other code as a reason to try again for ever.
 */
import type { Receipt } from '@cometmq/model';
import { groupName, topicName } from '@cometmq/model';
import type { CallContext } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';

/** @throws MqError INVALID_RECEIPT_HANDLE */
export function readReceipt(context: ProxyContext, handle: string, group: string, topic: string): Receipt {
  const receipt = context.handles.read(handle);
  const { directory } = context.parts;
  // What the directory doesn't know (yet, or any more) is for the broker to judge.
  const owner = directory.groupById(receipt.groupId)?.name ?? group;
  if (owner !== group) throw foreign(`consumer group "${owner}"`);
  const origin = directory.topicById(receipt.topicId)?.name ?? topic;
  if (origin !== topic) throw foreign(`topic "${origin}"`);
  return receipt;
}

function foreign(owner: string): MqError {
  return new MqError('INVALID_RECEIPT_HANDLE', `the receipt handle was issued for ${owner}`);
}

/**
 * Rust clients up to 5.0 repeat what is answered INVALID_RECEIPT_HANDLE every 100 ms for ever, and nothing else of that worker
 * gets through meanwhile. They are told OK where a handle is genuine and only comes too late.
 */
export function repeatsForEver({ headers }: CallContext): boolean {
  if (headers.get('x-mq-language') !== 'RUST') return false;
  const [major = 0, minor = 0] = (headers.get('x-mq-client-version') ?? '').split('.').map(Number);
  return !(major > 5 || (major === 5 && minor > 0));
}

/** What a leader says of a handle that this cluster wrote; undefined: the client is told OK. */
export function leaderSaid(error: MqError | undefined, forgives: boolean): MqError | undefined {
  return forgives && error?.code === 'INVALID_RECEIPT_HANDLE' ? undefined : error;
}

/** @throws MqError ILLEGAL_INVISIBLE_TIME; clients look for Apache's words */
export function checkInvisibleTime(ms: number, msMin: number, msMax: number): void {
  if (ms >= msMin && ms <= msMax) return;
  const what = ms < msMin ? 'small' : 'large';
  throw new MqError(
    'ILLEGAL_INVISIBLE_TIME',
    `the invisibleTime is too ${what}: ${ms} ms; allowed are ${msMin} to ${msMax} ms`,
  );
}

/** @throws MqError ILLEGAL_TOPIC, ILLEGAL_CONSUMER_GROUP for names that can't be; whether they exist the handle says */
export function checkNames(context: ProxyContext, group: string, topic: string): void {
  const { directory } = context.parts;
  if (!directory.topic(topic)) topicName(topic);
  if (!directory.group(group)) groupName(group);
}
