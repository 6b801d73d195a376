// Goal: what was sent, what is stored and what is delivered are the same message, and every decoder reads it alike.
// Method: messages made by chance, in pieces and out of order, through all three.
import { Message, ReceiveMessageResponse } from '@cometmq/proto';
import fc from 'fast-check';

import { encodeEnvelope } from '../envelope.js';
import { MessageType } from '../message-type.js';
import { epoch, groupId, logPosition, queueId, queueOffset, topicId } from '../units.js';
import { deliveredMessage } from './delivered-message.js';
import { EncodedProperties } from './encoded-properties.js';
import { plainForm } from './sent-message.js';
import { readResource, StoredParts } from './stored-parts.js';

const text = fc.string({ maxLength: 12 });
const sent = fc.record({
  name: fc.stringMatching(/^[a-z]{1,8}$/),
  properties: fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true }),
  tag: text,
  id: fc.stringMatching(/^[0-9A-F]{1,34}$/),
  body: fc.uint8Array({ minLength: 1, maxLength: 200 }),
});

/** Encoded in an order and in pieces that protobuf allows: fields of the system properties each by themselves. */
function inPieces(message: Message, order: readonly number[]): Buffer {
  const { systemProperties, ...rest } = message;
  const pieces = [
    Message.encode(Message.fromPartial({ topic: rest.topic } as never)).finish(),
    Message.encode(Message.fromPartial({ userProperties: rest.userProperties })).finish(),
    Message.encode(Message.fromPartial({ systemProperties: { tag: systemProperties?.tag } } as never)).finish(),
    Message.encode(
      Message.fromPartial({ systemProperties: { messageId: systemProperties?.messageId } } as never),
    ).finish(),
    Message.encode(Message.fromPartial({ body: rest.body })).finish(),
    // What only the server may say.
    Message.encode(Message.fromPartial({ systemProperties: { receiptHandle: 'forged', deliveryAttempt: 9 } })).finish(),
  ];
  return Buffer.concat(order.map((i) => pieces[i] as Uint8Array));
}

const receipt = {
  broker: 'broker-0',
  groupId: groupId(1),
  topicId: topicId(2),
  queueId: queueId(3),
  offset: queueOffset(2 ** 40),
  leaseEpoch: epoch(1),
  leasePosition: logPosition(4096),
  generation: 0,
  attempt: 2,
};

it('reads alike as it is stored and as it is delivered, with what belongs to the delivery', () => {
  fc.assert(
    fc.property(
      sent,
      fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }),
      fc.option(fc.constant('%DLQ%readers'), { nil: undefined }),
      ({ name, properties, tag, id, body }, order, deadLetterTopic) => {
        const message = Message.fromPartial({
          topic: { name, resourceNamespace: 'ns' },
          userProperties: new Map(Object.entries(properties)),
          systemProperties: { tag, messageId: id },
          body,
        } as never);
        const stored = plainForm(inPieces(message, order), new Uint8Array(0));
        expect(Message.decode(stored)).toEqual(message);

        const parts = new StoredParts(stored);
        expect(readResource(stored, parts.topicFrom, parts.topicTo)).toEqual({ namespace: 'ns', name });
        expect([...stored.subarray(parts.bodyFrom, parts.bodyTo)]).toEqual([...body]);

        const draft = { type: MessageType.normal, group: Buffer.alloc(0), keys: [] };
        const envelope = encodeEnvelope({ ...draft, tag: Buffer.from(tag), id: Buffer.from(id) });
        const payload = Buffer.concat([envelope, stored]);
        const found = new EncodedProperties().of(payload);
        const keys = Object.keys(properties);
        found.seek(keys.map((key) => ({ text: key, utf8: Buffer.from(key) })));
        expect(keys.map((_, i) => found.text(i))).toEqual(Object.values(properties));

        const chunks = deliveredMessage(0x12, { receipt, payload, storedMs: 1_500 }, 'handle', deadLetterTopic);
        const { content } = ReceiveMessageResponse.decode(Buffer.concat(chunks));
        if (content?.$case !== 'message') throw new Error('no message');
        const { systemProperties: system, ...rest } = content.value;
        expect(rest).toEqual({
          topic: { name: deadLetterTopic ?? name, resourceNamespace: 'ns' },
          userProperties: message.userProperties,
          body: message.body,
        });
        expect(system).toMatchObject({
          messageId: id,
          receiptHandle: 'handle',
          deliveryAttempt: 2,
          queueId: 3,
          queueOffset: 2 ** 40,
          storeHost: 'broker-0',
          storeTimestamp: { seconds: 1, nanos: 500_000_000 },
        });
        expect(system?.deadLetterQueue).toEqual(deadLetterTopic && { topic: name, messageId: id });
      },
    ),
    { seed: 12, numRuns: 300 },
  );
});
