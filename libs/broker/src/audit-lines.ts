/**
 * Lines of processes' audit logs as messages of the audit topic. Each process's are a message group, so they stay in the order in
 * which they were written; their ids are made of where they stand in its file, so what is sent again is known again.
 */
import type { AppendAuditCall, AuditLine, Directory, Done, NameService, SendCall, SendResult } from '@cometmq/client';
import { auditTopic, encodeEnvelope, hashBytes, MessageType, queueId, type Topic } from '@cometmq/model';
import { Encoding, Message, MessageType as WireType } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

export interface AuditLinesParts {
  readonly nameService: Pick<NameService, 'ensureInnerTopic'>;
  readonly directory: Pick<Directory, 'topic'>;
  readonly send: (call: SendCall, done: Done<SendResult>) => void;
}

/** Of one call. */
export const auditLinesMax = 1_000;

/** Resolves when all are committed. @throws MqError BAD_REQUEST, and what a send throws */
export async function appendAudit(parts: AuditLinesParts, { source, lines }: AppendAuditCall): Promise<void> {
  if (lines.length > auditLinesMax || source === '') {
    throw new MqError('BAD_REQUEST', `lines of an audit log: at most ${auditLinesMax} at once, with whose they are`);
  }
  const topic = parts.directory.topic(auditTopic) ?? (await parts.nameService.ensureInnerTopic(auditTopic));
  await new Promise<void>((resolve, reject) => {
    let open = lines.length;
    let failed = false;
    const done: Done<SendResult> = (error) => {
      open -= 1;
      if (error) {
        failed = true;
        reject(error);
      } else if (open === 0) resolve();
    };
    if (open === 0) resolve();
    for (const line of lines) {
      if (failed) break; // What follows must not overtake what was refused.
      parts.send(sendOf(topic, source, line), done);
    }
  });
}

function sendOf(topic: Topic, source: string, { id, timeMs, text, tag, keys, properties }: AuditLine): SendCall {
  const message = Message.fromPartial({
    topic: { name: topic.name },
    userProperties: new Map(properties),
    systemProperties: {
      ...(tag !== '' && { tag }),
      ...{ keys: [...keys], messageId: id, messageGroup: source },
      ...{ messageType: WireType.FIFO, bodyEncoding: Encoding.IDENTITY, bornHost: source },
      bornTimestamp: { seconds: Math.floor(timeMs / 1_000), nanos: (timeMs % 1_000) * 1_000_000 },
    },
    body: Buffer.from(text),
  });
  const [tagBytes, group] = [Buffer.from(tag), Buffer.from(source)];
  return {
    topicId: topic.id,
    queueId: queueId(0),
    layout: topic.layout,
    deadlineMs: undefined,
    tagHash: hashBytes(tagBytes),
    groupHash: hashBytes(group),
    envelope: encodeEnvelope({
      ...{ type: MessageType.fifo, tag: tagBytes, id: Buffer.from(id), group },
      keys: keys.map((key) => Buffer.from(key)),
    }),
    message: [Message.encode(message).finish()],
  };
}
