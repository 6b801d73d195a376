import { type Encoding, Message, MessageType as WireType, SystemProperties } from '@cometmq/proto';
import fc from 'fast-check';

import { encodeEnvelope } from '../envelope.js';
import { MessageType } from '../message-type.js';
import { contentHash, isSameMessage } from './same-message.js';

const envelope = encodeEnvelope({
  type: MessageType.fifo,
  tag: Buffer.from('T'),
  id: Buffer.from('id-1'),
  group: Buffer.from('g'),
  keys: [],
});

interface Said {
  readonly body: Uint8Array;
  readonly properties: readonly (readonly [string, string])[];
  readonly keys: readonly string[];
  readonly encoding: Encoding;
}
/** What may differ from one attempt to the next. */
interface Attempt {
  readonly bornMs: number;
  readonly host: string;
  readonly queue: number;
  readonly digest: string;
}

function encode(said: Said, attempt: Attempt): Buffer {
  const { bornMs, host, queue, digest } = attempt;
  const systemProperties = SystemProperties.fromPartial({
    tag: 'T',
    keys: [...said.keys],
    messageId: 'id-1',
    messageType: WireType.FIFO,
    bodyEncoding: said.encoding,
    messageGroup: 'g',
    bornTimestamp: { seconds: Math.floor(bornMs / 1000), nanos: (bornMs % 1000) * 1_000_000 },
    bornHost: host,
    queueId: queue,
    bodyDigest: { type: 1, checksum: digest },
    traceContext: host,
  });
  const message = Message.fromPartial({
    topic: { name: 'orders', resourceNamespace: host },
    systemProperties,
    body: Buffer.from(said.body),
    userProperties: new Map(said.properties),
  });
  return Buffer.from(Message.encode(message).finish());
}

const said = fc.record<Said>({
  body: fc.uint8Array({ maxLength: 40 }),
  properties: fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('', '1', '2')), {
    selector: ([key]) => key,
  }),
  keys: fc.array(fc.constantFrom('k', 'l'), { maxLength: 2 }),
  encoding: fc.constantFrom(1, 2),
});
const attempt = fc.record<Attempt>({
  bornMs: fc.nat(),
  host: fc.string({ maxLength: 5 }),
  queue: fc.nat(9),
  digest: fc.string({ maxLength: 5 }),
});

const isSame = (one: Buffer, other: Buffer): boolean => isSameMessage(Buffer.concat([envelope, one]), envelope, other);
const meaning = ({ body, properties, keys, encoding }: Said): string =>
  JSON.stringify([[...body], [...properties].sort(), keys, encoding]);

it('is the same whatever an attempt changes, and in whatever order its properties come', () => {
  fc.assert(
    fc.property(said, attempt, attempt, (what, first, second) => {
      const one = encode(what, first);
      const again = encode({ ...what, properties: [...what.properties].reverse() }, second);
      expect(contentHash(again)).toBe(contentHash(one));
      expect(isSame(one, again)).toBe(true);
    }),
  );
});

it('is another one if anything differs that the sender says', () => {
  fc.assert(
    fc.property(said, said, attempt, (what, else_, how) => {
      expect(isSame(encode(what, how), encode(else_, how))).toBe(meaning(what) === meaning(else_));
    }),
  );
});

it('is another one if its envelope differs', () => {
  const bytes = encode(
    { body: Buffer.from('x'), properties: [], keys: [], encoding: 1 },
    { bornMs: 0, host: '', queue: 0, digest: '' },
  );
  const other = Buffer.from(envelope);
  other[4] = (other[4] as number) ^ 1;
  expect(isSameMessage(Buffer.concat([envelope, bytes]), other, bytes)).toBe(false);
});

it('compares bytes that are no message as they are', () => {
  const broken = Buffer.from([0x12, 0xff, 1, 2]);
  expect(isSame(broken, Buffer.from(broken))).toBe(true);
  expect(isSame(broken, Buffer.from([0x12, 0xff, 1, 3]))).toBe(false);
});
