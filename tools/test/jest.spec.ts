import { count } from './jest.ts';

const ended = (ended: string, passed: number, failures: string[] = []): string =>
  JSON.stringify({ ended, passed, skipped: 1, failures });
const started = (started: string): string => JSON.stringify({ started });

describe('count', () => {
  it('adds up what ended', () => {
    const lines = [started('a'), ended('a', 3), started('b'), ended('b', 1, ['does x: Error: no\n  at y'])];
    const sum = count(lines, { code: 1, late: false });
    expect(sum).toEqual({ passed: 4, failed: 1, skipped: 2, failures: ['b: does x: Error: no · at y'] });
  });

  it('counts a spec that never ended, and a run that was ended', () => {
    expect(count([started('a')], { code: 1, late: false }).failures).toEqual(['a: never ended']);
    expect(count([started('a')], { code: 1, late: true }).failures).toEqual([expect.stringContaining('still ran')]);
    expect(count([], { code: 1, late: true }).failed).toBe(1);
  });

  it('believes no run that fails without a failure', () => {
    expect(count([started('a'), ended('a', 3)], { code: 1, late: false }).failed).toBe(1);
    expect(count([], { code: 0, late: false })).toEqual({ passed: 0, failed: 0, skipped: 0, failures: [] });
  });
});
