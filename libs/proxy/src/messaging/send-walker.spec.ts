import { plainForm } from '@cometmq/model';
import { Message, SendMessageRequest } from '@cometmq/proto';
import { Malformed, WireReader } from '@cometmq/shared';
import fc from 'fast-check';

import { PropertyFault, type WalkedMessage, walkSendRequest } from './send-walker.js';

const walk = (bytes: Buffer): WalkedMessage[] => walkSendRequest(new WireReader(bytes, 0, bytes.length), 1_024);
const text = (bytes: Buffer, from: number, to: number): string => bytes.toString('utf8', from, to);

const anyText = fc.string({ unit: 'grapheme', maxLength: 200 });
const anyTime = fc.record({ seconds: fc.integer({ min: -10, max: 2 ** 40 }), nanos: fc.nat(999_999_999) });
const orNothing = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(some, { nil: undefined });

const anyMessage = fc.record({
  topic: orNothing(fc.record({ resourceNamespace: anyText, name: anyText })),
  userProperties: fc.array(fc.tuple(anyText, anyText), { maxLength: 10 }).map((pairs) => new Map(pairs)),
  systemProperties: orNothing(
    fc.record({
      tag: orNothing(anyText),
      keys: fc.array(anyText, { maxLength: 5 }),
      messageId: anyText,
      bodyDigest: orNothing(fc.record({ type: fc.constantFrom(1, 2, 3), checksum: anyText })),
      bodyEncoding: fc.constantFrom(0, 1, 2),
      messageType: fc.constantFrom(0, 1, 2, 3, 4, 5, 6),
      bornTimestamp: orNothing(anyTime),
      bornHost: anyText,
      storeTimestamp: orNothing(anyTime),
      storeHost: anyText,
      deliveryTimestamp: orNothing(anyTime),
      receiptHandle: orNothing(anyText),
      queueId: fc.integer({ min: -5, max: 2 ** 31 - 1 }),
      queueOffset: orNothing(fc.nat()),
      invisibleDuration: orNothing(anyTime),
      deliveryAttempt: orNothing(fc.integer()),
      messageGroup: orNothing(anyText),
      traceContext: orNothing(anyText),
      orphanedTransactionRecoveryDuration: orNothing(anyTime),
      deadLetterQueue: orNothing(fc.record({ topic: anyText, messageId: anyText })),
      liteTopic: orNothing(anyText),
      priority: orNothing(fc.integer()),
    }),
  ),
  body: fc.uint8Array({ maxLength: 5000 }),
}) as fc.Arbitrary<Message>;

// Goal: the walker sees what a decoder sees. Method: encode anything with the generated codec and compare field by field.
it('finds in any request what the generated decoder finds', () => {
  fc.assert(
    fc.property(fc.array(anyMessage, { maxLength: 4 }), (messages) => {
      const bytes = Buffer.from(SendMessageRequest.encode({ messages }).finish());
      const decoded = SendMessageRequest.decode(bytes).messages;
      const walked = walk(bytes);
      expect(walked.length).toBe(decoded.length);
      decoded.forEach((message, i) => {
        const found = walked[i] as WalkedMessage;
        const system = message.systemProperties;
        expect(Message.decode(bytes.subarray(found.from, found.to))).toEqual(message);
        expect(text(bytes, found.topicFrom, found.topicTo)).toBe(message.topic?.name ?? '');
        expect(bytes.subarray(found.bodyFrom, found.bodyTo).equals(message.body)).toBe(true);
        expect(found.properties).toBe(message.userProperties.size);
        let propertyBytes = 0;
        for (const [key, value] of message.userProperties)
          propertyBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
        expect(found.propertyBytes).toBe(propertyBytes);
        expect(text(bytes, found.tagFrom, found.tagTo)).toBe(system?.tag ?? '');
        expect(text(bytes, found.idFrom, found.idTo)).toBe(system?.messageId ?? '');
        expect(text(bytes, found.groupFrom, found.groupTo)).toBe(system?.messageGroup ?? '');
        expect(text(bytes, found.liteFrom, found.liteTo)).toBe(system?.liteTopic ?? '');
        expect(text(bytes, found.bornHostFrom, found.bornHostTo)).toBe(system?.bornHost ?? '');
        const keys: string[] = [];
        for (let k = 0; k < found.keys.length; k += 3)
          keys.push(text(bytes, found.keys[k] as number, found.keys[k + 1] as number));
        expect(keys).toEqual((system?.keys ?? []).filter((key) => key !== ''));
        expect(found.encoding).toBe(system?.bodyEncoding ?? 0);
        expect(found.declaredType).toBe(system?.messageType ?? 0);
        expect(found.bornSeconds).toBe(system?.bornTimestamp?.seconds ?? 0);
        expect(found.bornNanos).toBe(system?.bornTimestamp?.nanos ?? 0);
        expect(found.deliverySet).toBe(system?.deliveryTimestamp !== undefined);
        expect(found.deliverySeconds).toBe(system?.deliveryTimestamp?.seconds ?? 0);
        expect(found.prioritySet).toBe(system?.priority !== undefined);
        expect(found.priority).toBe(system?.priority ?? 0);
        expect(found.recoverySeconds).toBe(system?.orphanedTransactionRecoveryDuration?.seconds ?? 0);
        expect(found.rewrite).toBe(system?.invisibleDuration !== undefined || system?.deadLetterQueue !== undefined);
        expect(found.invalidText).toBe(false);
      });
    }),
    { seed: 1, numRuns: 300 },
  );
});

// Goal: unknownMembers' bytes never crash the context. Method: any bytes, and good requests with bytes changed, cut and doubled.
it('takes any bytes or says that they are malformed', () => {
  const damaged = fc
    .tuple(anyMessage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat())
    .map(([message, hits, cut]) => {
      const bytes = Buffer.from(SendMessageRequest.encode({ messages: [message] }).finish());
      for (const [at, value] of hits) if (bytes.length > 0) bytes[at % bytes.length] = value;
      return bytes.subarray(0, bytes.length - (cut % 3));
    });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((raw) => Buffer.from(raw)),
        damaged,
      ),
      (bytes) => {
        try {
          for (const found of walk(bytes)) {
            expect(found.from).toBeGreaterThanOrEqual(0);
            expect(found.to).toBeLessThanOrEqual(bytes.length);
            plainForm(bytes.subarray(found.from, found.to), Buffer.alloc(0));
          }
        } catch (caught) {
          expect(caught).toBeInstanceOf(Malformed);
        }
      },
    ),
    { seed: 2, numRuns: 3000 },
  );
});

const field = (number: number, content: Uint8Array): Buffer => {
  const tag = Buffer.from(number < 16 ? [(number << 3) | 2] : [((number << 3) & 0x7f) | 0x82, number >> 4]);
  if (content.length < 128) return Buffer.concat([tag, Buffer.from([content.length]), content]);
  return Buffer.concat([tag, Buffer.from([(content.length & 0x7f) | 0x80, content.length >> 7]), content]);
};
const utf8 = (content: string): Buffer => Buffer.from(content);

it('joins a topic, system properties and a body that come twice, and has them rewritten in plain form', () => {
  const message = Buffer.concat([
    field(1, field(2, utf8('old'))),
    field(3, Buffer.concat([field(3, utf8('id-1')), field(1, utf8('tag'))])),
    field(4, utf8('first')),
    field(1, field(2, utf8('new'))),
    field(3, Buffer.concat([field(8, utf8('host')), field(20, field(1, utf8('lie')))])),
    field(4, utf8('second')),
  ]);
  const bytes = field(1, message);
  const [found] = walk(bytes);
  if (!found) throw new Error('one message is there');
  expect(found.rewrite).toBe(true);
  expect(text(bytes, found.topicFrom, found.topicTo)).toBe('new');
  expect(text(bytes, found.idFrom, found.idTo)).toBe('id-1');
  expect(text(bytes, found.bodyFrom, found.bodyTo)).toBe('second');

  const plain = Message.decode(plainForm(message, Buffer.alloc(0)));
  expect(plain.topic?.name).toBe('new');
  expect(plain.systemProperties).toMatchObject({ messageId: 'id-1', tag: 'tag', bornHost: 'host' });
  expect(plain.systemProperties?.deadLetterQueue).toBeUndefined();
  expect(Buffer.from(plain.body).toString()).toBe('second');
});

it.each([
  ['a tag', field(3, field(1, Buffer.from([0xff])))],
  ['a key', field(3, field(2, Buffer.from([0xc0, 0x80])))],
  ['the message id', field(3, field(3, Buffer.from([0xff])))],
  ['a digest', field(3, field(4, field(2, Buffer.from([0xff]))))],
  ['the born host', field(3, field(8, Buffer.from([0xff])))],
  ['the trace context', field(3, field(18, Buffer.from([0xff])))],
  ['a property value', field(2, Buffer.concat([field(1, utf8('k')), field(2, Buffer.from([0xed, 0xa0, 0x80]))]))],
  ['a namespace', field(1, field(1, Buffer.from([0xff])))],
])('marks %s that is no UTF-8', (_what, content) => {
  expect(walk(field(1, content))[0]?.invalidText).toBe(true);
});

it.each([
  ['KEYS', 'x', PropertyFault.reserved],
  ['__CRC32#', 'x', PropertyFault.reserved],
  ['1ST_POP_TIME', 'x', PropertyFault.reserved],
  ['keys', 'x', PropertyFault.none],
  ['TAGS2', 'x', PropertyFault.none],
  ['a\u0001', 'x', PropertyFault.control],
  ['a', 'x\u007f', PropertyFault.control],
  ['a', 'x\u0085', PropertyFault.control],
  ['a', 'x\u00a0é', PropertyFault.none],
])('judges the user property %j = %j', (key, value, fault) => {
  const bytes = field(1, field(2, Buffer.concat([field(1, utf8(key)), field(2, utf8(value))])));
  expect(walk(bytes)[0]?.propertyFault).toBe(fault);
});

it.each([
  ['a length past the end', [0x0a, 5, 1]],
  ['a varint without end', [0x0a, 12, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ['field number 0', [0x00, 1]],
  ['a group', [0x0b]],
  ['half a tag', [0x80]],
])('refuses %s', (_what, raw) => {
  expect(() => walk(Buffer.from(raw))).toThrow(Malformed);
});
