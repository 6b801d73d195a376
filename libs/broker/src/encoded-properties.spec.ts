import { compileFilter } from '@cometmq/filter';
import { EncodedProperties, encodeEnvelope, MessageType } from '@cometmq/model';
import { Message } from '@cometmq/proto';
import * as fc from 'fast-check';

const encoded = (message: Message, tag = ''): Buffer =>
  Buffer.concat([
    encodeEnvelope({
      type: MessageType.normal,
      tag: Buffer.from(tag),
      id: Buffer.from('id-1'),
      group: Buffer.alloc(0),
      keys: [],
    }),
    Message.encode(message).finish(),
  ]);
const names = (...texts: string[]) => texts.map((text) => ({ text, utf8: Buffer.from(text) }));
const properties = new EncodedProperties();
const read = (payload: Uint8Array, ...wanted: string[]) => {
  properties.of(payload).seek(names(...wanted));
  return wanted.map((_, i) => properties.text(i));
};

describe('properties of a stored message', () => {
  it('are found where they stand, missing ones are not there', () => {
    const payload = encoded(
      Message.fromPartial({
        userProperties: new Map(Object.entries({ region: 'EU', empty: '', größe: 'ü', last: 'x' })),
        systemProperties: {},
        body: Buffer.alloc(5000, 7),
      }),
    );
    expect(read(payload, 'last', 'region', 'nothing', 'größe', 'empty')).toEqual(['x', 'EU', undefined, 'ü', '']);
    expect(read(payload, 'region')).toEqual(['EU']);
  });

  it('have what the message itself says, by its old names', () => {
    const payload = encoded(
      Message.fromPartial({
        userProperties: new Map([['a', '1']]),
        systemProperties: {
          tag: 'Order',
          keys: ['k1', 'k2'],
          messageId: 'id-1',
          bornTimestamp: { seconds: 1_700_000_000, nanos: 123_456_789 },
          bornHost: 'host',
          messageGroup: 'g',
          deliveryTimestamp: { seconds: 1_800_000_000 },
          traceContext: '00-t',
        },
        body: Buffer.from('x'),
      }),
      'Order',
    );
    expect(
      read(
        payload,
        ...['TAGS', 'KEYS', 'UNIQ_KEY', 'BORN_TIMESTAMP', '__BORNHOST', '__SHARDINGKEY', 'TIMER_DELIVER_MS', 'a'],
        'TRACE_CONTEXT',
      ),
    ).toEqual(['Order', 'k1 k2', 'id-1', '1700000000123', 'host', 'g', '1800000000000', '1', '00-t']);
    expect(properties.tag.toString()).toBe('Order');
    expect(read(encoded(Message.fromPartial({ systemProperties: {} })), 'TAGS', 'KEYS', 'BORN_TIMESTAMP')).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  // Goal: the walk agrees with the generated decoder. Method: any properties; seed 21.
  it('agree with the generated decoder (seed 21)', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' }), {
          noNullPrototype: true,
        }),
        fc.uint8Array({ maxLength: 300 }),
        (texts, body) => {
          const userProperties = new Map(Object.entries(texts));
          const payload = encoded(
            Message.fromPartial({ userProperties, systemProperties: { messageId: 'm' }, body: Buffer.from(body) }),
          );
          const wanted = [...Object.keys(texts), 'no such name'];
          expect(read(payload, ...wanted)).toEqual([...Object.values(texts), undefined]);
        },
      ),
      { seed: 21, numRuns: 300 },
    );
  });

  it('are none where the bytes are no message, and nothing throws (seed 22)', () => {
    const filter = compileFilter({ type: 'sql', expression: "a = '1' AND TAGS = 'x' AND BORN_TIMESTAMP > 1" });
    const payload = encoded(
      Message.fromPartial({
        userProperties: new Map([['a', '1']]),
        systemProperties: { tag: 'x', bornTimestamp: { nanos: 5_000_000 } },
      }),
    );
    expect(filter.wantsMessage(properties.of(payload))).toBe(true);
    fc.assert(
      fc.property(fc.nat(payload.length - 20), fc.uint8Array({ maxLength: 12 }), (at, junk) => {
        const broken = Buffer.from(payload);
        broken.set(junk.slice(0, broken.length - 20 - at), 20 + at);
        filter.wantsMessage(properties.of(broken));
        filter.wantsMessage(properties.of(broken.subarray(0, 20 + at)));
      }),
      { seed: 22, numRuns: 2000 },
    );
  });
});
