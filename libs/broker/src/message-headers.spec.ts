// Goal: what a message says beside its body is found whatever pieces it came in, and the body is not copied for it. Method:
// messages cut by chance, fields in any order; the malformed cut anywhere.
import { Message } from '@cometmq/proto';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { withoutBody } from './message-headers.js';

const encoded = (body: Uint8Array): Buffer =>
  Buffer.from(
    Message.encode(
      Message.fromPartial({
        topic: { name: 'orders' },
        userProperties: new Map([['traceparent', '00-abc']]),
        systemProperties: { messageId: 'm1', keys: ['a', 'b'], traceContext: 'x'.repeat(200) },
        body,
      } as never),
    ).finish(),
  );

function cut(bytes: Buffer, chance: Prng): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + chance.below(40));
    pieces.push(bytes.subarray(at, end)); // Empty ones, too.
    at = end;
  }
  return pieces.length < 2 ? [Buffer.alloc(0), ...pieces] : pieces;
}

it.each(seeds(20))('everything but the body, in its order (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const body = Buffer.alloc(1 + chance.below(3_000), 'body');
  const [head, tail] = [encoded(Buffer.alloc(0)), Buffer.from(Message.encode(Message.fromPartial({ body })).finish())];
  const orders = [Buffer.concat([head, tail]), Buffer.concat([tail, head])];
  for (const whole of orders) expect(Buffer.from(withoutBody(cut(whole, chance)))).toEqual(head);
  const broken = encoded(body).subarray(0, chance.below(encoded(body).length));
  expect(withoutBody(cut(broken, chance)).length).toBeLessThanOrEqual(broken.length);
});

it('a message of one piece is not copied', () => {
  const message = encoded(Buffer.alloc(100));
  expect(withoutBody([message])).toBe(message);
});
