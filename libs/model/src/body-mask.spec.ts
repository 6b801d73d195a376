import { MqError } from '@cometmq/shared';

import { bodyMask, bothMasks, maskedBody, wholeBody } from './body-mask.js';

const masked = (body: string, mask: string): string | undefined => {
  const left = maskedBody(Buffer.from(body), bodyMask(mask));
  return left && Buffer.from(left).toString();
};

it.each([
  [
    '{"card":{"number":"4111","kind":"visa"},"sum":5}',
    'card.number',
    '{"card":{"number":"***","kind":"visa"},"sum":5}',
  ],
  ['{"card":{"number":"4111"}}', 'card', '{"card":"***"}'],
  // Lists are looked through, at the top and within.
  [
    '[{"mail":"a"},{"mail":"b","x":[{"mail":"c"}]}]',
    'mail,x.mail',
    '[{"mail":"***"},{"mail":"***","x":[{"mail":"***"}]}]',
  ],
  ['{"a":{"x":1,"y":2},"b":3}', 'a.*', '{"a":{"x":"***","y":"***"},"b":3}'],
  ['{"a":{"x":{"k":1},"y":{"k":2,"l":3}}}', 'a.*.k', '{"a":{"x":{"k":"***"},"y":{"k":"***","l":3}}}'],
  // What is not there hides nothing, and numbers keep their digits.
  ['{"id":12345678901234567890.10,"a":{"c":1}}', 'b.c,a.b', '{"id":12345678901234567890.10,"a":{"c":1}}'],
  ['{"__proto__":{"x":1},"toString":2}', '__proto__.x,toString', '{"__proto__":{"x":"***"},"toString":"***"}'],
  // What is of another form than the mask expects is hidden, as it may be the same said in another way.
  ['{"card":"4111","a":null,"b":true}', 'card.number,a.b,b.c', '{"card":"***","a":null,"b":"***"}'],
  [
    '{"customer":["Ann",{"name":"Ann"}],"of":"Ann"}',
    'customer.*,of.*',
    '{"customer":["***",{"name":"***"}],"of":"***"}',
  ],
  ['[4111,{"card":1}]', 'card', '["***",{"card":"***"}]'],
  ['{"id":1,"card":{"number":2}}', '*.number', '{"id":1,"card":{"number":"***"}}'],
  [
    '{"card.number":1,"a.b":{"c":2},"a":{"b.c":3}}',
    'card.number,a.b.c',
    '{"card.number":"***","a.b":{"c":"***"},"a":{"b.c":"***"}}',
  ],
])('of %s, %s leaves %s', (body, mask, left) => {
  expect(masked(body, mask)).toBe(left);
});

it.each(['', 'plain text', '"a text"', '17', 'null', '{"card":', '{"card":{"number":1}} 2', '['.repeat(200_000)])(
  'what is no JSON with fields is hidden as a whole: %.30s',
  (body) => expect(masked(body, 'card.number')).toBeUndefined(),
);

it('what is no UTF-8 is hidden as a whole, and so is everything where the mask says so', () => {
  expect(maskedBody(Buffer.from('7b2261223aff7d', 'hex'), 'b')).toBeUndefined();
  expect(masked('{"a":1}', wholeBody)).toBeUndefined();
});

it('what is nested too deep to be looked through is hidden as a whole', () => {
  const deep = `${'['.repeat(100_000)}{"a":1}${']'.repeat(100_000)}`;
  expect(masked(deep, 'a')).toBeUndefined();
});

it.each([
  'a b',
  'a.',
  '.a',
  'a..b',
  'a,',
  ',',
  ' ',
  'x'.repeat(1_025),
  'a.'.repeat(16) + 'a',
  Array(65).fill('a').join(),
])('is no mask: %.20s', (text) => expect(() => bodyMask(text)).toThrow(MqError));

it('of two masks as much is hidden as by each', () => {
  expect([
    bothMasks('', ''),
    bothMasks('a', ''),
    bothMasks('', 'b'),
    bothMasks('a,b', 'b,c'),
    bothMasks('a', '*'),
  ]).toEqual(['', 'a', 'b', 'a,b,c', '*']);
});
