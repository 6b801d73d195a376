import fc from 'fast-check';
import { MemoryAccount } from '../memory/memory-account.js';
import { grpcMessage } from '../testing/raw-h2-client.js';
import { MessageAssembler, smallMessageBytesMax } from './message-assembler.js';

function collect(messageBytesMax = 1_000_000, budgetBytes = 10_000_000, admits = false) {
  const messages: Buffer[] = [];
  const faults: number[] = [];
  const budget = new MemoryAccount(budgetBytes);
  const asked: number[] = [];
  const receiver = {
    admit: (bytes: number) => {
      asked.push(bytes);
      return admits;
    },
    withdraw: () => void asked.push(-1),
    message: (bytes: Uint8Array) => void messages.push(Buffer.from(bytes)),
    broken: (status: number) => void faults.push(status),
  };
  return { messages, faults, budget, asked, assembler: new MessageAssembler(receiver, messageBytesMax, budget) };
}

it('gives back all messages however they are cut (seed 5)', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 20_000, size: '+1' }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 20 }),
      (bodies, cuts) => {
        const { messages, budget, assembler } = collect();
        const wire = Buffer.concat(bodies.map(grpcMessage));
        for (let at = 0, i = 0; at < wire.length; i += 1) {
          const piece = wire.subarray(at, at + (cuts[i % cuts.length] ?? 1));
          assembler.push(piece, 0, piece.length);
          at += piece.length;
        }
        expect(messages.length).toBe(bodies.length);
        expect(messages.every((message, i) => message.equals(bodies[i] ?? message.subarray(1)))).toBe(true);
        expect(budget.bytes).toBe(0);
        expect(assembler.midway).toBe(false);
      },
    ),
    { seed: 5, numRuns: 150 },
  );
});

it('holds at most twice what came, in pieces of one byte, whatever length is promised', () => {
  const { messages, budget, assembler } = collect(2_000_000);
  const wire = grpcMessage(Buffer.alloc(1_000_000, 7));
  for (let at = 0; at < wire.length; at += 1) {
    assembler.push(wire, at, at + 1);
    if (budget.bytes > Math.max(4_096, 2 * (at + 1))) throw new Error(`${budget.bytes} held after ${at}`);
  }
  expect(messages[0]?.length).toBe(1_000_000);
  expect(budget.bytes).toBe(0);
});

it('passes a message that is whole on without a copy', () => {
  let given: Uint8Array | undefined;
  const receiver = {
    admit: () => false,
    withdraw: () => undefined,
    message: (bytes: Uint8Array) => void (given = bytes),
    broken: () => undefined,
  };
  const wire = grpcMessage(Buffer.from('hello'));
  new MessageAssembler(receiver, 100, new MemoryAccount(0)).push(wire, 0, wire.length);
  expect(given?.buffer).toBe(wire.buffer);
});

it.each([
  ['a compressed message', Buffer.from([1, 0, 0, 0, 1, 9]), 12],
  ['unknown flags', Buffer.from([2, 0, 0, 0, 1, 9]), 13],
  ['a message above the limit', Buffer.from([0, 0, 0, 1, 1]), 8],
])('ends the call on %s', (_what, wire, status) => {
  const { messages, faults, assembler } = collect(256);
  assembler.push(wire, 0, wire.length);
  assembler.push(wire, 0, wire.length);
  expect(faults).toEqual([status]);
  expect(messages).toEqual([]);
});

it('ends the call when the budget is used up, and gives everything back', () => {
  const { faults, budget, assembler } = collect(1_000_000, 50_000);
  const wire = grpcMessage(Buffer.alloc(100_000));
  for (let at = 0; at < wire.length; at += 1_000) assembler.push(wire, at, Math.min(wire.length, at + 1_000));
  expect(faults).toEqual([8]);
  expect(budget.bytes).toBe(0);
});

describe('a large message', () => {
  const body = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i & 0xff));
  const wire = grpcMessage(body);

  it('is announced, and counts for nothing here once it is admitted', () => {
    const { messages, budget, asked, assembler } = collect(1_000_000, 10, true);
    for (let at = 0; at < wire.length; at += 999) assembler.push(wire, at, Math.min(wire.length, at + 999));
    expect([asked, budget.bytes, messages.length]).toEqual([[100_000], 0, 1]);
    expect(messages[0]?.equals(body)).toBe(true);
  });

  it('that is admitted on its way is put together of both parts', () => {
    for (const admittedAt of [1_000, 4_101, 30_000, 99_999]) {
      const { messages, budget, asked, assembler } = collect();
      for (let at = 0; at < wire.length; at += 1) {
        if (at === admittedAt) {
          assembler.admitted();
          expect(budget.bytes).toBe(0);
        }
        assembler.push(wire, at, at + 1);
      }
      expect([asked, budget.bytes, messages.length]).toEqual([[100_000], 0, 1]);
      expect(messages[0]?.equals(body)).toBe(true);
    }
  });

  it('that is whole before it is admitted asks no longer', () => {
    const { messages, asked, assembler } = collect();
    assembler.push(wire, 0, 50_000);
    assembler.push(wire, 50_000, wire.length);
    assembler.admitted();
    expect([asked, messages.length]).toEqual([[100_000, -1], 1]);
  });

  it('is none up to its limit', () => {
    const { asked, assembler } = collect();
    const small = grpcMessage(Buffer.alloc(smallMessageBytesMax));
    for (let at = 0; at < small.length; at += 5_000) assembler.push(small, at, Math.min(small.length, at + 5_000));
    expect(asked).toEqual([]);
  });
});
