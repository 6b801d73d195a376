import fc from 'fast-check';
import { MemoryAccount } from './memory-account.js';
import { MemoryPool } from './memory-pool.js';

class Turns {
  private readonly acts: (() => void)[] = [];
  readonly later = (act: () => void): void => void this.acts.push(act);
  run(): void {
    while (this.acts.length > 0) for (const act of this.acts.splice(0)) act();
  }
}

it('grants in order within a connection, and lets no connection stand before another', () => {
  const turns = new Turns();
  const pool = new MemoryPool(100, turns.later);
  const [a, b] = [new MemoryAccount(60, pool.account), new MemoryAccount(60, pool.account)];
  const order: string[] = [];
  const ask = (account: MemoryAccount, name: string, bytes: number): boolean =>
    pool.ask(account, { bytes, granted: () => order.push(name) });
  expect(ask(a, 'a1', 50)).toBe(true);
  expect(ask(a, 'a2', 20)).toBe(false); // Above its own.
  expect(ask(a, 'a3', 1)).toBe(false); // It would fit, but stands behind.
  expect(ask(b, 'b1', 50)).toBe(true); // Nothing to do with the other's line.
  expect(ask(b, 'b2', 5)).toBe(false);
  a.give(50);
  turns.run();
  expect(order).toEqual(['a2', 'b2', 'a3']);
  expect(pool.account.bytes).toBe(76);
});

it('one that is larger than the bound passes alone', () => {
  const turns = new Turns();
  const pool = new MemoryPool(100, turns.later);
  const a = new MemoryAccount(10, pool.account);
  let granted = false;
  expect(pool.ask(a, { bytes: 90, granted: () => undefined })).toBe(true);
  expect(pool.ask(a, { bytes: 95, granted: () => (granted = true) })).toBe(false);
  turns.run();
  expect(granted).toBe(false);
  a.give(90);
  turns.run();
  expect(granted).toBe(true);
});

// Goal: nobody waits while there is room for the first of its line, and the bound holds. Method: asks, withdrawals and
// gifts by chance over three connections, with the rule looked at after each turn (seed 77).
it('never passes its bound, and leaves nobody waiting who fits', () => {
  const step = fc.record({
    what: fc.constantFrom('ask', 'ask', 'give', 'withdraw'),
    who: fc.nat(2),
    bytes: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const turns = new Turns();
      const pool = new MemoryPool(100, turns.later);
      const callers = [0, 1, 2].map(() => ({
        account: new MemoryAccount(60, pool.account),
        held: [] as number[],
        waiting: [] as { bytes: number; granted: () => void }[],
      }));
      for (const { what, who, bytes } of steps) {
        const caller = callers[who];
        if (caller === undefined) continue;
        if (what === 'ask') {
          const ask = {
            bytes,
            granted: () => {
              expect(caller.waiting.shift()).toBe(ask);
              caller.held.push(bytes);
            },
          };
          if (pool.ask(caller.account, ask)) caller.held.push(bytes);
          else caller.waiting.push(ask);
        } else if (what === 'give') {
          caller.account.give(caller.held.shift() ?? 0);
        } else {
          const ask = caller.waiting.splice(bytes % Math.max(1, caller.waiting.length), 1)[0];
          if (ask !== undefined) pool.withdraw(caller.account, ask);
        }
        turns.run();
        const held = callers.flatMap((each) => each.held).reduce((sum, each) => sum + each, 0);
        expect(pool.account.bytes).toBe(held);
        expect(held).toBeLessThanOrEqual(100);
        // The pool's own room goes to whoever is first in turn, so it may be kept for a large one.
        const fits = callers.filter(
          ({ account, waiting: [first] }) => first !== undefined && account.fits(first.bytes),
        );
        const someWaitForTheWhole = callers.some(
          ({ waiting: [first] }) => first !== undefined && !pool.account.fits(first.bytes),
        );
        if (!someWaitForTheWhole) expect(fits).toEqual([]);
        expect(pool.short).toBe(callers.some(({ waiting }) => waiting.length > 0));
      }
    }),
    { seed: 77, numRuns: 300 },
  );
});
