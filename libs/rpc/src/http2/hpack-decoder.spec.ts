import fc from 'fast-check';
import { encodeHuffman, encodeInteger, encodeLiteral } from '../testing/hpack-encoder.js';
import { H2Failure } from './constants.js';
import { HeaderField, HpackDecoder } from './hpack-decoder.js';
import { decodeHuffman } from './huffman.js';

const limits = { tableBytesMax: 4_096, listBytesMax: 32_768 };

function decodeHex(decoder: HpackDecoder, hex: string): string[] {
  const block = Buffer.from(hex.replace(/\s/g, ''), 'hex');
  return decoder.decode(block, 0, block.length).fields.map((field) => `${field.name}: ${field.value}`);
}

describe('the vectors of RFC 7541', () => {
  const first = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
  const second = [...first, 'cache-control: no-cache'];
  const third = [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ];

  it('decodes literals (C.2)', () => {
    const decoder = new HpackDecoder(limits);
    expect(decodeHex(decoder, '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572')).toEqual([
      'custom-key: custom-header',
    ]);
    expect(decodeHex(decoder, 'be')).toEqual(['custom-key: custom-header']);
    expect(decodeHex(decoder, '040c 2f73 616d 706c 652f 7061 7468')).toEqual([':path: /sample/path']);
    expect(decodeHex(decoder, '1008 7061 7373 776f 7264 0673 6563 7265 74')).toEqual(['password: secret']);
    expect(decodeHex(decoder, '82')).toEqual([':method: GET']);
  });

  it('decodes requests without Huffman (C.3)', () => {
    const decoder = new HpackDecoder(limits);
    expect(decodeHex(decoder, '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d')).toEqual(first);
    expect(decodeHex(decoder, '8286 84be 5808 6e6f 2d63 6163 6865')).toEqual(second);
    expect(decodeHex(decoder, '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65')).toEqual(
      third,
    );
  });

  it('decodes requests with Huffman (C.4)', () => {
    const decoder = new HpackDecoder(limits);
    expect(decodeHex(decoder, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')).toEqual(first);
    expect(decodeHex(decoder, '8286 84be 5886 a8eb 1064 9cbf')).toEqual(second);
    expect(decodeHex(decoder, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')).toEqual(third);
  });

  it('evicts as the responses in a table of 256 bytes do (C.6)', () => {
    const decoder = new HpackDecoder({ ...limits, tableBytesMax: 256 });
    decodeHex(
      decoder,
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    );
    expect(decodeHex(decoder, '4883 640e ffc1 c0bf')).toEqual([
      ':status: 307',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ]);
  });
});

// Goal: what was encoded comes back. Method: random texts, whole sequences of blocks, every kind of literal.
it('gives back what was encoded, through its table (seed 7541)', () => {
  const field = fc.record({
    name: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
    value: fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 60,
    }),
    how: fc.constantFrom('indexing' as const, 'plain' as const, 'never' as const),
    huffman: fc.boolean(),
    repeat: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(fc.array(field, { maxLength: 8 }), { maxLength: 30 }), (blocks) => {
      const decoder = new HpackDecoder(limits);
      const table: { name: string; value: string }[] = []; // Newest first, as the RFC counts.
      const evict = (room: number): void => {
        const bytes = (): number => table.reduce((sum, each) => sum + each.name.length + each.value.length + 32, 0);
        while (table.length > 0 && bytes() > room) table.pop();
      };
      for (const fields of blocks) {
        const bytes: number[] = [];
        for (const each of fields) {
          const known = table.findIndex((entry) => entry.name === each.name && entry.value === each.value);
          if (each.repeat && known >= 0) {
            bytes.push(...encodeInteger(62 + known, 7, 0x80));
            continue;
          }
          bytes.push(...encodeLiteral(each.name, each.value, each.how, each.huffman));
          if (each.how !== 'indexing') continue;
          evict(4_096 - (each.name.length + each.value.length + 32));
          table.unshift({ name: each.name, value: each.value });
        }
        const found = decoder.decode(Buffer.from(bytes), 0, bytes.length).fields;
        expect(found.map(({ name, value }) => [name, value])).toEqual(fields.map(({ name, value }) => [name, value]));
      }
    }),
    { seed: 7_541, numRuns: 150 },
  );
});

it('decodes what Huffman encoded, and refuses padding that is none (seed 1)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const code = Uint8Array.from(encodeHuffman(Buffer.from(bytes)));
      const into = Buffer.alloc(400);
      expect(decodeHuffman(code, 0, code.length, into)).toBe(bytes.length);
      expect(into.subarray(0, bytes.length)).toEqual(Buffer.from(bytes));
      expect(decodeHuffman(Uint8Array.of(...code, 0xff), 0, code.length + 1, into)).toBe(-1); // A byte of padding too many.
    }),
    { seed: 1, numRuns: 300 },
  );
});

it('shares the headers of a block that comes again, and does not where the table moved', () => {
  const decoder = new HpackDecoder(limits);
  const block = Buffer.from([0x82, 0x86]);
  const once = decoder.decode(block, 0, 2);
  expect(decoder.decode(block, 0, 2)).toBe(once);
  const insert = Buffer.from(encodeLiteral('a', 'one', 'indexing'));
  decoder.decode(insert, 0, insert.length);
  const indexed = Buffer.from([0xbe]);
  expect(decoder.decode(indexed, 0, 1).get('a')).toBe('one');
  const another = Buffer.from(encodeLiteral('a', 'two', 'indexing'));
  decoder.decode(another, 0, another.length);
  expect(decoder.decode(indexed, 0, 1).get('a')).toBe('two');
});

describe('literals that come again', () => {
  const signature = `Signature=${'0123456789abcdef'.repeat(8)}`;

  it.each([false, true])('are read once while they stand at their place (Huffman: %s)', (huffman) => {
    const decoder = new HpackDecoder(limits);
    const decode = (...pairs: readonly (readonly [string, string])[]) => {
      const bytes = pairs.flatMap(([name, value]) => encodeLiteral(name, value, 'never', huffman));
      return decoder.decode(Buffer.from(bytes), 0, bytes.length).fields;
    };
    const call = (id: string) =>
      decode(['x-mq-date-time', '20261130T120000Z'], ['id', id], ['authorization', signature]);
    const [time, , authorization] = call('one');
    for (let i = 0; i < 40; i += 1) {
      const [sameTime, id, sameAuthorization] = call(`call ${i}`);
      expect([sameTime === time, sameAuthorization === authorization, id?.value]).toEqual([true, true, `call ${i}`]);
    }
    expect(decode(['authorization', signature])[0]).toMatchObject({ name: 'authorization', value: signature });
    const others = [`${signature}f`, signature.slice(0, -1), `${signature.slice(0, -1)}0`, 'x'.repeat(2_000), 'y', ''];
    for (const value of others) expect(decode(['authorization', value])[0]).toMatchObject({ value });
    expect(decode(['another', ''])[0]).toMatchObject({ name: 'another', value: '' });
  });

  // Goal: whatever stood at a place before, what is read is what was sent. Method: few names and values, so that blocks share some.
  it('are never taken for others (seed 11)', () => {
    const names = ['a', 'b', 'date', 'te', 'x'.repeat(70), 'x-mq-date-time'];
    const values = ['', 'a', 'b', 'trailers', 'v'.repeat(60), `${'v'.repeat(59)}w`, 'w'.repeat(600), signature];
    const literal = fc.record({
      name: fc.constantFrom(...names),
      value: fc.constantFrom(...values),
      how: fc.constantFrom('plain' as const, 'never' as const),
      huffman: fc.boolean(),
      byIndex: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(fc.array(literal, { maxLength: 8 }), { maxLength: 40 }), (blocks) => {
        const decoder = new HpackDecoder(limits);
        for (const fields of blocks) {
          const bytes = fields.flatMap(({ name, value, how, huffman, byIndex }) => {
            const [, ...text] = encodeLiteral(name, value, how, huffman);
            if (!byIndex || name !== 'date') return [how === 'never' ? 0x10 : 0, ...text];
            return [...encodeInteger(33, 4, 0), ...encodeLiteral('', value, how, huffman).slice(2)];
          });
          const found = decoder.decode(Buffer.from(bytes), 0, bytes.length).fields;
          const fresh = fields.map(({ name, value }) => new HeaderField(name, value));
          expect(found.map(({ name, value, kind }) => [name, value, kind])).toEqual(
            fresh.map(({ name, value, kind }) => [name, value, kind]),
          );
        }
      }),
      { seed: 11, numRuns: 400 },
    );
  });
});

describe('what is not allowed', () => {
  const decode = (bytes: number[]) => () => new HpackDecoder(limits).decode(Buffer.from(bytes), 0, bytes.length);

  it.each([
    ['index 0', [0x80]],
    ['an index past the table', [0xbe]],
    ['an integer without its end', [0xff, 0xff]],
    ['an integer of too many bits', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['a text past the end', [0x00, 0x05, 0x61]],
    ['a table larger than announced', encodeInteger(4_097, 5, 0x20)],
    ['a table size after a field', [0x82, 0x20]],
    ['the Huffman end mark', [0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]],
  ])('%s', (_what, bytes) => {
    expect(decode(bytes)).toThrow(H2Failure);
  });

  it('any bytes end in headers or in H2Failure (seed 2)', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 10 }), (blocks) => {
        const decoder = new HpackDecoder(limits);
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block), 0, block.length);
        } catch (caught) {
          expect(caught).toBeInstanceOf(H2Failure);
        }
      }),
      { seed: 2, numRuns: 3_000 },
    );
  });
});

it('keeps a list above the limit short, and the table in step', () => {
  const decoder = new HpackDecoder({ tableBytesMax: 4_096, listBytesMax: 2_000 });
  const insert = Buffer.from(encodeLiteral('x', 'y'.repeat(900), 'indexing'));
  decoder.decode(insert, 0, insert.length);
  const block = Buffer.concat([Buffer.alloc(6, 0xbe), Buffer.from(encodeLiteral('after', 'all', 'indexing'))]);
  const headers = decoder.decode(block, 0, block.length);
  expect(headers.tooLarge).toBe(true);
  expect(headers.fields.length).toBe(2);
  expect(decoder.decode(Buffer.from([0xbe]), 0, 1).get('after')).toBe('all');
});

it('does not read on in a list far above the limit', () => {
  const decoder = new HpackDecoder({ tableBytesMax: 4_096, listBytesMax: 2_000 });
  const insert = Buffer.from(encodeLiteral('x', 'y'.repeat(900), 'indexing'));
  decoder.decode(insert, 0, insert.length);
  const bomb = Buffer.concat([Buffer.alloc(9, 0xbe), Buffer.of(0x80)]); // What stands behind is broken.
  expect(() => decoder.decode(bomb, 0, bomb.length)).toThrow('far above 2000 bytes');
});
