/**
 * Reads a SendMessageRequest where it stands: for each message the ranges and numbers that checking, routing and the
 * envelope need. Bodies are not looked at and nothing is copied, so the encoded message can go to the log as it came.
 *
 * Walks as protobuf merges: of a field that comes twice the last counts, embedded messages are joined. Decoders of some
 * official clients don't (Node.js keeps the last copy only), so a message with its topic, its system properties or its
 * body twice is marked `rewrite` and is stored in the plain form that every decoder reads alike.
 */
import { isReservedProperty } from '@cometmq/model';
import { MqError, scanText, textTrait, type WireReader, wireType } from '@cometmq/shared';

/** A mistake in the user properties. */
export const PropertyFault = { none: 0, reserved: 1, control: 2 } as const;
export type PropertyFault = (typeof PropertyFault)[keyof typeof PropertyFault];

/** Ranges are from (included) to (excluded) in the request's bytes; an empty range is an absent or empty field. */
export class WalkedMessage {
  from = 0;
  to = 0;
  topicFrom = 0;
  topicTo = 0;
  /** Where the tag of the system properties stands, and what they hold. */
  systemTagAt = 0;
  systemFrom = 0;
  systemTo = 0;
  systemSeen = false;
  bodyFrom = 0;
  bodyTo = 0;
  properties = 0;
  /** UTF-8 bytes of user property keys and values. */
  propertyBytes = 0;
  propertyFault: PropertyFault = PropertyFault.none;
  faultFrom = 0;
  faultTo = 0;
  /** Some text is no UTF-8: a consumer that decodes strictly would choke on the message. */
  invalidText = false;
  tagFrom = 0;
  tagTo = 0;
  tagTrait = 0;
  /** From, to and trait of each key that is not empty. */
  keys: number[] = noKeys;
  keyBytes = 0;
  idFrom = 0;
  idTo = 0;
  groupFrom = 0;
  groupTo = 0;
  groupTrait = 0;
  liteFrom = 0;
  liteTo = 0;
  /** As declared; only TRANSACTION is looked at, the type follows from what is set. */
  declaredType = 0;
  encoding = 0;
  bornHostFrom = 0;
  bornHostTo = 0;
  bornSeconds = 0;
  bornNanos = 0;
  deliverySet = false;
  deliverySeconds = 0;
  deliveryNanos = 0;
  prioritySet = false;
  priority = 0;
  recoverySet = false;
  recoverySeconds = 0;
  /** Holds what only the server may say and a later field can't undo, or a field twice. */
  rewrite = false;
}

const noKeys: number[] = [];

/**
 * The messages of an encoded SendMessageRequest.
 * @throws Malformed, MqError BAD_REQUEST
 */
export function walkSendRequest(reader: WireReader, messagesMax: number): WalkedMessage[] {
  const messages: WalkedMessage[] = [];
  while (reader.next()) {
    if (reader.field !== 1) reader.skip();
    else if (reader.is(wireType.bytes)) {
      if (messages.length >= messagesMax) {
        throw new MqError('BAD_REQUEST', `the request holds more than ${messagesMax} messages`);
      }
      messages.push(walkMessage(reader));
    }
  }
  return messages;
}

function walkMessage(reader: WireReader): WalkedMessage {
  const { bytes } = reader;
  const outerEnd = reader.end;
  const found = new WalkedMessage();
  reader.end = reader.lengthEnd();
  found.from = reader.at;
  found.to = reader.end;
  let topicSeen = false;
  let bodySeen = false;
  for (let tagAt = reader.at; reader.next(); tagAt = reader.at) {
    switch (reader.field) {
      case 1:
        if (!reader.is(wireType.bytes)) break;
        if (topicSeen) found.rewrite = true;
        topicSeen = true;
        walkTopic(reader, found);
        break;
      case 2:
        if (reader.is(wireType.bytes)) walkProperty(reader, found);
        break;
      case 3:
        if (!reader.is(wireType.bytes)) break;
        if (found.systemSeen) found.rewrite = true;
        found.systemSeen = true;
        found.systemTagAt = tagAt;
        walkSystem(reader, found);
        break;
      case 4:
        if (!reader.is(wireType.bytes)) break;
        if (bodySeen) found.rewrite = true;
        bodySeen = true;
        found.bodyTo = reader.lengthEnd();
        found.bodyFrom = reader.at;
        reader.at = found.bodyTo;
        break;
      default:
        reader.skip();
    }
  }
  if (found.tagTo > found.tagFrom) found.tagTrait = scanText(bytes, found.tagFrom, found.tagTo);
  if (found.groupTo > found.groupFrom) found.groupTrait = scanText(bytes, found.groupFrom, found.groupTo);
  if (((found.tagTrait | found.groupTrait) & textTrait.invalid) !== 0) found.invalidText = true;
  reader.end = outerEnd;
  return found;
}

/** The name is checked against its alphabet later, or found in the directory; a namespace is passed through. */
function walkTopic(reader: WireReader, found: WalkedMessage): void {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  while (reader.next()) {
    if (reader.field === 2) {
      if (!reader.is(wireType.bytes)) continue;
      const end = reader.lengthEnd();
      found.topicFrom = reader.at;
      found.topicTo = end;
      reader.at = end;
    } else if (reader.field === 1 && reader.type === wireType.bytes) passText(reader, found);
    else reader.skip();
  }
  reader.end = outerEnd;
}

function walkProperty(reader: WireReader, found: WalkedMessage): void {
  const { bytes } = reader;
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  let keyFrom = 0;
  let keyTo = 0;
  let trait = 0;
  let valueBytes = 0;
  while (reader.next()) {
    if ((reader.field !== 1 && reader.field !== 2) || reader.type !== wireType.bytes) {
      reader.skip();
      continue;
    }
    const end = reader.lengthEnd();
    trait |= scanText(bytes, reader.at, end);
    if (reader.field === 1) {
      keyFrom = reader.at;
      keyTo = end;
    } else valueBytes = end - reader.at;
    reader.at = end;
  }
  reader.end = outerEnd;
  found.properties += 1;
  found.propertyBytes += keyTo - keyFrom + valueBytes;
  if ((trait & textTrait.invalid) !== 0) found.invalidText = true;
  if (found.propertyFault !== PropertyFault.none) return;
  if (isReservedProperty(bytes, keyFrom, keyTo)) found.propertyFault = PropertyFault.reserved;
  else if ((trait & textTrait.control) !== 0) found.propertyFault = PropertyFault.control;
  else return;
  found.faultFrom = keyFrom;
  found.faultTo = keyTo;
}

function walkSystem(reader: WireReader, found: WalkedMessage): void {
  const { bytes } = reader;
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  found.systemFrom = reader.at;
  found.systemTo = reader.end;
  while (reader.next()) {
    if (reader.type === wireType.bytes) {
      walkSystemBytes(reader, found, bytes);
      continue;
    }
    if (reader.type !== wireType.varint) {
      reader.skip();
      continue;
    }
    switch (reader.field) {
      case 5:
        found.encoding = reader.int32();
        break;
      case 6:
        found.declaredType = reader.int32();
        break;
      case 22:
        found.prioritySet = true;
        found.priority = reader.int32();
        break;
      default:
        reader.skip(); // Queue, offset and attempt belong to the server: a delivery writes its own behind them.
    }
  }
  reader.end = outerEnd;
}

function walkSystemBytes(reader: WireReader, found: WalkedMessage, bytes: Buffer): void {
  switch (reader.field) {
    case 1: {
      const end = reader.lengthEnd();
      found.tagFrom = reader.at;
      found.tagTo = end;
      reader.at = end;
      break;
    }
    case 2: {
      const end = reader.lengthEnd();
      if (end > reader.at) {
        const trait = scanText(bytes, reader.at, end);
        if ((trait & textTrait.invalid) !== 0) found.invalidText = true;
        if (found.keys === noKeys) found.keys = [];
        found.keys.push(reader.at, end, trait);
        found.keyBytes += end - reader.at;
      }
      reader.at = end;
      break;
    }
    case 3:
      found.idFrom = passText(reader, found);
      found.idTo = reader.at;
      break;
    case 4: // The digest of the body: not checked, made anew at each delivery.
    case 20: // The dead letter's origin.
      if (reader.field === 20) found.rewrite = true;
      walkTexts(reader, found);
      break;
    case 7: {
      const seconds = walkSeconds(reader);
      found.bornSeconds = seconds;
      found.bornNanos = walkedNanos;
      break;
    }
    case 8:
      found.bornHostFrom = passText(reader, found);
      found.bornHostTo = reader.at;
      break;
    case 11:
      found.deliverySet = true;
      found.deliverySeconds = walkSeconds(reader);
      found.deliveryNanos = walkedNanos;
      break;
    case 9: // The time of storing: a delivery writes its own behind it.
      walkSeconds(reader);
      break;
    case 15: // The invisible duration.
      found.rewrite = true;
      walkSeconds(reader);
      break;
    case 17: {
      const end = reader.lengthEnd();
      found.groupFrom = reader.at;
      found.groupTo = end;
      reader.at = end;
      break;
    }
    case 19:
      found.recoverySet = true;
      found.recoverySeconds = walkSeconds(reader);
      break;
    case 21:
      found.liteFrom = passText(reader, found);
      found.liteTo = reader.at;
      break;
    case 10: // The broker's name.
    case 12: // The receipt handle.
    case 18: // The trace context.
      passText(reader, found);
      break;
    default:
      reader.skip();
  }
}

/** Passes over a text and checks that it is one. Returns where it began; `reader.at` is its end. */
function passText(reader: WireReader, found: WalkedMessage): number {
  const end = reader.lengthEnd();
  const from = reader.at;
  if (end > from && (scanText(reader.bytes, from, end) & textTrait.invalid) !== 0) found.invalidText = true;
  reader.at = end;
  return from;
}

/** An embedded message of whose length-delimited fields all are texts. */
function walkTexts(reader: WireReader, found: WalkedMessage): void {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  while (reader.next()) {
    if (reader.type === wireType.bytes && reader.field <= 2) passText(reader, found);
    else reader.skip();
  }
  reader.end = outerEnd;
}

/** The nanoseconds of what `walkSeconds` read last. */
let walkedNanos = 0;

/** Seconds of an embedded Timestamp or Duration. */
function walkSeconds(reader: WireReader): number {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  let seconds = 0;
  walkedNanos = 0;
  while (reader.next()) {
    if (reader.type !== wireType.varint) reader.skip();
    else if (reader.field === 1) seconds = reader.int64();
    else if (reader.field === 2) walkedNanos = reader.int32();
    else reader.skip();
  }
  reader.end = outerEnd;
  return seconds;
}
