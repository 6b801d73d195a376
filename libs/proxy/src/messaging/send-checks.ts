/**
 * What a message must be to be taken, in the order and with the codes of the Java server (grpc semantics, section 4.2).
 * A limit of 0 or below switches its check off.
 */
import { MessageType, printable } from '@cometmq/model';
import { MqError, textTrait } from '@cometmq/shared';

import type { MessagingLimits } from '../limits.js';
import { PropertyFault, type WalkedMessage } from './send-walker.js';

/** Encodings that consumers know: plain and gzip; 0 stands for plain. */
const encodingMax = 2;

/** @returns what is wrong first, or undefined. Names, types and permissions are checked with the topic at hand. */
export function checkMessage(
  found: WalkedMessage,
  bytes: Buffer,
  limits: MessagingLimits,
  nowMs: number,
): MqError | undefined {
  const bodyBytes = found.bodyTo - found.bodyFrom;
  if (bodyBytes === 0) return new MqError('MESSAGE_BODY_EMPTY', 'the message has no body; at least 1 byte is needed');
  if (limits.bodyBytesMax > 0 && bodyBytes > limits.bodyBytesMax) {
    return new MqError(
      'MESSAGE_TOO_LARGE',
      `the body has ${bodyBytes} bytes, at most ${limits.bodyBytesMax} are allowed`,
    );
  }
  if (limits.propertiesMax > 0 && found.properties > limits.propertiesMax) {
    return tooLarge(`${found.properties} user properties, at most ${limits.propertiesMax} are allowed`);
  }
  if (found.propertyFault !== PropertyFault.none) return propertyFault(found, bytes);
  return (
    checkLabels(found, bytes, limits) ?? checkSizes(found, bytes, limits) ?? checkTimes(found, bytes, limits, nowMs)
  );
}

function checkLabels(found: WalkedMessage, bytes: Buffer, limits: MessagingLimits): MqError | undefined {
  if (found.tagTo > found.tagFrom) {
    const wrong = wrongLabel(bytes, found.tagFrom, found.tagTo, found.tagTrait);
    if (wrong) return new MqError('ILLEGAL_MESSAGE_TAG', `the tag ${wrong}`);
    for (let i = found.tagFrom; i < found.tagTo; i += 1) {
      if (bytes[i] === 0x7c)
        return new MqError('ILLEGAL_MESSAGE_TAG', 'the tag must not hold "|", which joins tags in filters');
    }
  }
  const { keys } = found;
  if (keys.length / 3 > limits.messageKeysMax) {
    return tooLarge(`${keys.length / 3} message keys, at most ${limits.messageKeysMax} are allowed`);
  }
  for (let i = 0; i < keys.length; i += 3) {
    const wrong = wrongLabel(bytes, keys[i] as number, keys[i + 1] as number, keys[i + 2] as number);
    if (wrong) return new MqError('ILLEGAL_MESSAGE_KEY', `a message key ${wrong}`);
  }
  return undefined;
}

function checkSizes(found: WalkedMessage, bytes: Buffer, limits: MessagingLimits): MqError | undefined {
  const propertyBytes = found.propertyBytes + (found.tagTo - found.tagFrom) + found.keyBytes;
  if (limits.propertyBytesMax > 0 && propertyBytes > limits.propertyBytesMax) {
    return tooLarge(
      `user properties, tag and keys have ${propertyBytes} bytes, at most ${limits.propertyBytesMax} are allowed`,
    );
  }
  const overhead = found.to - found.from - (found.bodyTo - found.bodyFrom);
  if (limits.overheadBytesMax > 0 && overhead > limits.overheadBytesMax) {
    return tooLarge(
      `the message has ${overhead} bytes beside its body, at most ${limits.overheadBytesMax} are allowed`,
    );
  }
  if (found.invalidText) return new MqError('MESSAGE_CORRUPTED', 'a text of the message is no valid UTF-8');
  if (found.encoding < 0 || found.encoding > encodingMax) {
    return new MqError(
      'MESSAGE_CORRUPTED',
      `body encoding ${found.encoding} is unknown; allowed are 1 (plain) and 2 (gzip)`,
    );
  }
  const idBytes = found.idTo - found.idFrom;
  if (isBlank(bytes, found.idFrom, found.idTo))
    return new MqError('ILLEGAL_MESSAGE_ID', 'the message id must not be blank');
  if (idBytes > limits.messageIdBytesMax) {
    return new MqError(
      'ILLEGAL_MESSAGE_ID',
      `the message id has ${idBytes} bytes, at most ${limits.messageIdBytesMax} are allowed`,
    );
  }
  return undefined;
}

/** Times of the special kinds, the group and the lite topic: checked whether or not the kind is served. */
function checkTimes(found: WalkedMessage, bytes: Buffer, limits: MessagingLimits, nowMs: number): MqError | undefined {
  if (found.recoverySet && found.declaredType === MessageType.transaction && limits.orphanRecoveryMsMax > 0) {
    const mostSeconds = limits.orphanRecoveryMsMax / 1000;
    if (found.recoverySeconds > mostSeconds || found.recoverySeconds < 0) {
      return new MqError(
        'BAD_REQUEST',
        `orphaned transaction recovery after ${found.recoverySeconds} s; allowed are 0 to ${mostSeconds} s`,
      );
    }
  }
  if (found.deliverySet && limits.delayMsMax > 0) {
    const aheadMs = deliveryMs(found) - nowMs;
    if (aheadMs > limits.delayMsMax) {
      return new MqError(
        'ILLEGAL_DELIVERY_TIME',
        `the delivery time lies ${Math.ceil(aheadMs / 1000)} s ahead, at most ${limits.delayMsMax / 1000} s are allowed`,
      );
    }
  }
  const groupBytes = found.groupTo - found.groupFrom;
  if (groupBytes > 0) {
    const wrong = wrongLabel(bytes, found.groupFrom, found.groupTo, found.groupTrait);
    if (wrong) return new MqError('ILLEGAL_MESSAGE_GROUP', `the message group ${wrong}`);
    if (limits.messageGroupBytesMax > 0 && groupBytes > limits.messageGroupBytesMax) {
      return new MqError(
        'ILLEGAL_MESSAGE_GROUP',
        `the message group has ${groupBytes} bytes, at most ${limits.messageGroupBytesMax} are allowed`,
      );
    }
  }
  const liteBytes = found.liteTo - found.liteFrom;
  if (liteBytes > 0) {
    const name = bytes.toString('utf8', found.liteFrom, found.liteTo);
    if (liteBytes > limits.liteTopicBytesMax || !/^[a-zA-Z0-9_-]+$/.test(name)) {
      return new MqError(
        'ILLEGAL_LITE_TOPIC',
        `lite topic "${printable(name)}": at most ${limits.liteTopicBytesMax} letters, digits, "-" and "_" are allowed`,
      );
    }
  }
  if (found.prioritySet && found.priority < 0) {
    return new MqError('BAD_REQUEST', `priority ${found.priority}; 0 and above are allowed`);
  }
  return undefined;
}

export function deliveryMs(found: WalkedMessage): number {
  return found.deliverySeconds * 1000 + Math.floor(found.deliveryNanos / 1e6);
}

/** When a delayed message is due, as its envelope says it: never before 1970 nor after the year 9999. */
export function dueMsOf(found: WalkedMessage): number {
  return Math.min(latestMs, Math.max(1, deliveryMs(found)));
}
/** The end of the year 9999, as far as a Timestamp goes: brokers can read it as a number. */
export const latestMs = 253_402_300_799_999;

/** How long after its arrival a half message is first asked about, if its sender says so. */
export function checkAfterMsOf(found: WalkedMessage): number | undefined {
  return found.recoverySet && found.recoverySeconds > 0 ? found.recoverySeconds * 1000 : undefined;
}

/** The kind of a message follows from what is set; the first hit counts. */
export function derivedType(found: WalkedMessage): MessageType {
  if (found.declaredType === MessageType.transaction) return MessageType.transaction;
  if (found.deliverySet) return MessageType.delay;
  if (found.groupTo > found.groupFrom) return MessageType.fifo;
  if (found.prioritySet) return MessageType.priority;
  if (found.liteTo > found.liteFrom) return MessageType.lite;
  return MessageType.normal;
}

function wrongLabel(bytes: Buffer, from: number, to: number, trait: number): string | undefined {
  if (trait === 0 && (bytes[from] as number) > 0x20) return undefined;
  if ((trait & textTrait.control) !== 0) return 'must not hold control characters';
  if (isBlank(bytes, from, to)) return 'must not be only white space';
  return undefined;
}

/** Empty, or nothing but white space. */
function isBlank(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i += 1) {
    const byte = bytes[i] as number;
    if (byte >= 0x80) return bytes.toString('utf8', from, to).trim() === '';
    if (byte > 0x20) return false;
  }
  return true;
}

function propertyFault(found: WalkedMessage, bytes: Buffer): MqError {
  const key = printable(bytes.toString('utf8', found.faultFrom, found.faultTo));
  return new MqError(
    'ILLEGAL_MESSAGE_PROPERTY_KEY',
    found.propertyFault === PropertyFault.reserved
      ? `user property "${key}": the name is reserved for the system`
      : `user property "${key}": keys and values must not hold control characters`,
  );
}

function tooLarge(what: string): MqError {
  return new MqError('MESSAGE_PROPERTIES_TOO_LARGE', what);
}
