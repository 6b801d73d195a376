/** A dead letter as it is sent to its topic again, edited where an operator says so. */
import { createHash } from 'node:crypto';
import type { ResendCall } from '@cometmq/client';
import { Envelope, MessageType } from '@cometmq/model';
import { Encoding, Message, MessageType as WireType } from '@cometmq/proto';

/**
 * The stored message as it is sent again. What a queue shows at once is no delayed message and no half of a transaction. Its
 * id follows from what it is and from `copyOf`.
 */
export function edited(payload: Uint8Array, { body, tag, keys, properties }: ResendCall, copyOf: string) {
  const envelope = new Envelope(payload);
  let message: Message;
  try {
    message = Message.decode(envelope.message);
  } catch {
    message = Message.fromPartial({ body: envelope.message }); // It was never understood: it goes out as it came.
  }
  const system = message.systemProperties ?? Message.fromPartial({ systemProperties: {} }).systemProperties;
  const type =
    envelope.type === MessageType.delay || envelope.type === MessageType.transaction
      ? MessageType.normal
      : envelope.type;
  const again = Message.fromPartial({
    ...message,
    ...(properties && { userProperties: new Map(properties) }),
    ...(body && { body }),
    systemProperties: {
      ...system,
      messageId: copyOf,
      ...(type !== envelope.type && { messageType: WireType.NORMAL }),
      deliveryTimestamp: undefined,
      ...(tag !== undefined && { tag: tag === '' ? undefined : tag }),
      ...(keys && { keys: [...keys] }),
      ...(body && { bodyEncoding: Encoding.IDENTITY, bodyDigest: undefined }),
    },
  });
  const messageId = createHash('sha256')
    .update(Message.encode(again).finish())
    .digest('hex')
    .slice(0, 34)
    .toUpperCase();
  if (again.systemProperties) again.systemProperties.messageId = messageId;
  const textTag = again.systemProperties?.tag ?? '';
  return {
    messageId,
    message: Message.encode(again).finish(),
    draft: {
      type,
      tag: Buffer.from(textTag),
      id: Buffer.from(messageId),
      group: Buffer.from(envelope.group),
      keys: (again.systemProperties?.keys ?? []).map((key) => Buffer.from(key)),
      ...(envelope.priority !== undefined && { priority: envelope.priority }),
      ...(envelope.liteTopic !== undefined && { liteTopic: Buffer.from(envelope.liteTopic) }),
    },
  };
}
