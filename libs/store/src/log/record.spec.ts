import { RecordKind, queueId, queueOffset, topicId } from '@cometmq/model';
import fc from 'fast-check';

import { RecordBlock, decodeRecord, headerBytes, headerBytesOf, queueHeaderBytes } from './record.js';
import type { RecordDraft } from './record.js';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u53 = fc.maxSafeNat();
const queueFields = fc.record({
  topicId: u32.map(topicId),
  queueId: u32.map(queueId),
  queueOffset: u53.map(queueOffset),
  tagHash: u32,
  groupHash: u32,
});
const payload = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 });
const drafts: fc.Arbitrary<RecordDraft> = fc
  .record({
    kind: fc.constantFrom(...Object.values(RecordKind)),
    timestampMs: u53,
    payload,
    queue: queueFields,
  })
  .map(({ queue, ...rest }) => (headerBytesOf(rest.kind) === queueHeaderBytes ? { ...rest, queue } : rest));

function written(draft: RecordDraft, epoch: number, position: number, commitKnown: number, at: number): RecordBlock {
  const size = headerBytesOf(draft.kind) + draft.payload.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const block = new RecordBlock(Buffer.alloc(at + size + 7, 0xee));
  block.put(at, draft, size, epoch, position);
  expect(block.finish(at, commitKnown, 7)).toBe(size);
  return block;
}

describe('a record', () => {
  it('comes back as it was put (seed 1)', () => {
    fc.assert(
      fc.property(drafts, u32, u53, u53, fc.nat(50), (draft, epoch, position, commitKnown, at) => {
        const block = written(draft, epoch, position, commitKnown, at);
        expect(block.hasHeader(at, position, 2 ** 20)).toBe(true);
        expect(block.isWhole(at, 7)).toBe(true);
        const found = block.record(at);
        expect(found).toMatchObject({ kind: draft.kind, timestampMs: draft.timestampMs, epoch, position, commitKnown });
        expect(found).toMatchObject(
          draft.queue ?? { topicId: 0, queueId: 0, queueOffset: 0, tagHash: 0, groupHash: 0 },
        );
        expect(Buffer.from(found.payload)).toEqual(Buffer.concat(draft.payload));
        expect(decodeRecord(block.bytes.subarray(at, at + found.size))).toEqual(found);
      }),
      { seed: 1 },
    );
  });

  it('is not whole once any one bit of it has changed (seed 2)', () => {
    fc.assert(
      fc.property(drafts, u32, u53, fc.nat(), (draft, epoch, position, where) => {
        const block = written(draft, epoch, position, position, 0);
        const size = block.sizeAt(0);
        const bit = where % (size * 8);
        const byte = bit >>> 3;
        block.bytes.writeUInt8(block.bytes.readUInt8(byte) ^ (1 << (bit & 7)), byte);
        const good = block.hasHeader(0, position, block.bytes.byteLength) && block.isWhole(0, 7);
        expect(good).toBe(false);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('has the layout that was agreed, byte for byte', () => {
    const queue = {
      topicId: topicId(7),
      queueId: queueId(2),
      queueOffset: queueOffset(2 ** 32 + 5),
      tagHash: 0xaabbccdd,
      groupHash: 1,
    };
    const draft = { kind: RecordKind.message, timestampMs: 2 ** 40, payload: [Buffer.from('hi')], queue };
    const block = written(draft, 3, 2 ** 33, 9, 0);
    expect(block.bytes.subarray(0, 66).toString('hex')).toBe(
      [
        '434d',
        '01',
        '02',
        '42000000',
        block.bytes.toString('hex', 8, 12),
        '03000000',
        '0000000002000000',
        '0900000000000000',
        '0000000000010000',
        '07000000',
        '02000000',
        '0500000001000000',
        'ddccbbaa',
        '01000000',
        '6869',
      ].join(''),
    );
    expect(headerBytes).toBe(40);
  });
});
