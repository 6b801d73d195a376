import type {
  Directory,
  FoundMessage,
  LifeEvent,
  MessageContent,
  MessageFindings,
  MessageLife,
  MessagePlace,
} from '@cometmq/client';
import {
  deadLetterCauseName,
  messageTypeName,
  wholeBody,
  type DeadLetterCause,
  type LogPosition,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Answers, Missing } from './ask-all.js';

/** A message in a list. */
export interface MessageView {
  readonly id: string;
  readonly topic: string;
  readonly originTopic?: string;
  readonly brokerSet: string;
  readonly queueId: number;
  readonly offset?: number;
  readonly storedMs: number;
  readonly messageId: string;
  readonly tag: string;
  readonly messageGroup: string;
  readonly keys: readonly string[];
  readonly type: string;
  readonly bodyBytes: number;
  readonly dueMs?: number;
  readonly liteTopic?: string;
  /** Of a dead letter. */
  readonly cause?: DeadLetterCause;
  readonly attempts?: number;
}

export interface MessagePartView {
  readonly items: readonly MessageView[];
  readonly next?: string;
  readonly looked: number;
  readonly left: number;
  readonly missing: readonly Missing[];
}

/** What a message is called in addresses: where it stands in the log of its broker set. */
export interface NamedPlace {
  readonly brokerSet: string;
  readonly place: MessagePlace;
}

export function placeId(brokerSet: string, { position, size }: MessagePlace): string {
  return `${brokerSet}~${position}~${size}`;
}

/** @throws MqError BAD_REQUEST, NOT_FOUND */
export function readPlaceId(directory: Directory, id: string): NamedPlace {
  const [, brokerSet, position, size] = /^(.{1,255})~(\d{1,15})~(\d{1,9})$/.exec(id) ?? [];
  if (brokerSet === undefined || position === undefined || size === undefined) {
    throw new MqError('BAD_REQUEST', 'id: must be the `id` of a message in a list');
  }
  if (!directory.brokerSet(brokerSet)) throw new MqError('NOT_FOUND', `there is no broker set "${brokerSet}"`);
  return { brokerSet, place: { position: Number(position) as LogPosition, size: Number(size) } };
}

export function messageView(directory: Directory, brokerSet: string, found: FoundMessage): MessageView {
  const nameOf = (id: FoundMessage['topicId']): string => directory.topicById(id)?.name ?? '';
  const { offset, dueMs, liteTopic } = found;
  const isLetter = found.topicId !== found.originTopicId;
  return {
    id: placeId(brokerSet, found),
    topic: nameOf(found.topicId),
    ...(found.originTopicId !== found.topicId && { originTopic: nameOf(found.originTopicId) }),
    brokerSet,
    queueId: found.queueId,
    ...(offset !== undefined && { offset }),
    storedMs: found.storedMs,
    messageId: found.messageId,
    tag: found.tag,
    messageGroup: found.messageGroup,
    keys: found.keys,
    type: messageTypeName(found.type as never),
    bodyBytes: found.bodyBytes,
    ...(dueMs > 0 && { dueMs }),
    ...(liteTopic !== '' && { liteTopic }),
    ...(isLetter && { cause: deadLetterCauseName(found.cause), attempts: found.attempts }),
  };
}

/** Where each broker set goes on: below a log position, from its newest (0), or not at all (-1). */
export class SearchCursor {
  private constructor(private readonly below: ReadonlyMap<string, number>) {}

  /** @throws MqError BAD_REQUEST */
  static read(text: string | undefined): SearchCursor {
    if (text === undefined) return new SearchCursor(new Map());
    const below = new Map<string, number>();
    for (const part of text.split('!')) {
      const [, set, position] = /^(.{1,255})~(-1|\d{1,15})$/.exec(part) ?? [];
      if (set === undefined) throw new MqError('BAD_REQUEST', 'after: must be `next` of the part before');
      below.set(set, Number(position));
    }
    return new SearchCursor(below);
  }

  of(brokerSet: string): number {
    // Of a set that is new since the search began nothing is shown: the same question has the same answer.
    return this.below.get(brokerSet) ?? (this.below.size === 0 ? 0 : -1);
  }
}

/** Newest first over all broker sets, as far as the parts they answered go. */
export function messagePart(
  directory: Directory,
  cursor: SearchCursor,
  { answers, missing }: Answers<MessageFindings>,
  max: number,
): MessagePartView {
  const all = answers.flatMap(({ brokerSet, answer }) => answer.messages.map((found) => ({ brokerSet, found })));
  all.sort((a, b) => b.found.storedMs - a.found.storedMs || b.found.position - a.found.position);
  const shown = all.slice(0, max);
  let looked = 0;
  let left = 0;
  let goesOn = false;
  const below: string[] = [];
  for (const { brokerSet, answer } of answers) {
    looked += answer.looked;
    left += answer.left;
    const mine = shown.filter((one) => one.brokerSet === brokerSet);
    const last = mine.at(-1)?.found.position;
    const first = answer.messages[0]?.position;
    let next = answer.next === 0 ? -1 : answer.next;
    // Some of its answer finds no room on this page, and comes again with the next one.
    if (mine.length < answer.messages.length) next = last ?? (cursor.of(brokerSet) || (first ?? 0) + 1);
    goesOn ||= next !== -1;
    below.push(`${brokerSet}~${next}`);
  }
  for (const { brokerSet } of missing) below.push(`${brokerSet}~${cursor.of(brokerSet)}`);
  return {
    items: shown.map(({ brokerSet, found }) => messageView(directory, brokerSet, found)),
    ...(goesOn && { next: below.join('!') }),
    looked,
    left,
    missing,
  };
}

/** @param masked what is hidden of the body, as the mask says it; `*`: `body` is not looked at */
export function contentView(directory: Directory, brokerSet: string, content: MessageContent, masked = '') {
  const { message, properties, body, cut, bodyBytes, encoding, bornHost, bornMs, traceContext } = content;
  return {
    ...messageView(directory, brokerSet, message),
    properties: Object.fromEntries(properties),
    ...(masked !== wholeBody && bodyView(body, cut)),
    ...(masked !== '' && { masked }),
    cut,
    plainBytes: bodyBytes,
    encoding,
    bornHost,
    bornMs,
    traceContext,
  };
}

function bodyView(body: Uint8Array, cut: boolean): { readonly text: string } | { readonly base64: string } {
  try {
    // A cut may go through a character: `stream` takes what is whole.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body, { stream: cut });
    // eslint-disable-next-line no-control-regex -- control characters, but for white space, are no text
    if (!/[\u0000-\u0008\u000e-\u001f]/.test(text)) return { text };
  } catch {
    // It is no UTF-8.
  }
  return { base64: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64') };
}

export function lifeView(directory: Directory, { events, indexedTo, cut }: MessageLife) {
  return { events: events.map((event) => eventView(directory, event)), indexedTo, cut };
}

function eventView(directory: Directory, event: LifeEvent) {
  const { atMs, kind, position, groupId, clientId, attempt, untilMs, topicId, queueId, offset, who } = event;
  return {
    atMs,
    kind,
    position,
    ...(groupId !== 0 && { group: directory.groupById(groupId)?.name ?? '' }),
    ...(clientId !== '' && { clientId }),
    ...(attempt > 0 && { attempt }),
    ...(untilMs > 0 && { untilMs }),
    topic: directory.topicById(topicId)?.name ?? '',
    queueId,
    offset,
    ...(who !== '' && { who }),
  };
}
