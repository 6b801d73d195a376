/**
 * Which bodies somebody sees. Where a topic has a mask, who may look at its messages sees what the mask leaves; the whole is for
 * who may consume them anyway: by the action `sub` on the topic, or for a dead letter on the topic that it is in. A letter whose
 * topic was deleted is hidden: nobody knows any more what was to be.
 *
 * Nothing may be asked about what is hidden, either: a search that finds a text in it tells of it.
 */
import type { Directory, MessageContent } from '@cometmq/client';
import { bothMasks, isDeadLetterTopic, maskedBody, wholeBody, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { FastifyRequest } from 'fastify';

import { contentView } from '../reports/message-report.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the messages that the answer shows, those whose bodies were hidden, or a part of them. */
    masked: number | undefined;
  }
}

type Asker = Pick<FastifyRequest, 'principal' | 'ip'>;

const mayConsume = ({ principal, ip }: Asker, topic: Topic | undefined): boolean =>
  topic === undefined ? principal.isSuper : principal.may(['sub'], 'topic', topic.name, ip);

/** What of the body is hidden from who asks. */
function maskFor(asker: Asker, directory: Directory, { topicId, originTopicId }: MessageContent['message']): string {
  const topic = directory.topicById(topicId);
  const origin = directory.topicById(originTopicId);
  if (mayConsume(asker, topic) || (origin && mayConsume(asker, origin))) return '';
  if (!topic || !origin) return wholeBody;
  return bothMasks(topic.bodyMask ?? '', origin.bodyMask ?? '');
}

/**
 * A message as it is shown to who asks.
 * @param readWhole the same with its whole body
 */
export async function shownTo(
  request: FastifyRequest,
  directory: Directory,
  brokerSet: string,
  content: MessageContent,
  readWhole: () => Promise<MessageContent | undefined>,
): Promise<ReturnType<typeof contentView>> {
  const mask = maskFor(request, directory, content.message);
  if (mask === '') return contentView(directory, brokerSet, content);
  request.masked = (request.masked ?? 0) + 1;
  if (mask === wholeBody) return contentView(directory, brokerSet, content, mask);
  const whole = content.cut ? await readWhole() : content;
  const left = whole && !whole.cut ? maskedBody(whole.body, mask) : undefined;
  if (!left) return contentView(directory, brokerSet, content, wholeBody);
  const bytesMax = content.cut ? content.body.length : left.length;
  const shown = { ...content, body: left.subarray(0, bytesMax), cut: left.length > bytesMax };
  return contentView(directory, brokerSet, shown, mask);
}

/** Letters are of any topic. */
export function mayReadAllOf(asker: Asker, topic: Topic): boolean {
  return (topic.bodyMask === undefined && !isDeadLetterTopic(topic.name)) || mayConsume(asker, topic);
}

/** @throws MqError FORBIDDEN */
export function checkTextSearch(asker: Asker, topic: Topic): void {
  if (mayReadAllOf(asker, topic)) return;
  const { name: user } = asker.principal;
  throw new MqError(
    'FORBIDDEN',
    `user ${user} may not sub on topic "${topic.name}": bodies that may be hidden are not searched for a text`,
  );
}
