// Goal: the last line of `npm test` never says less than what failed. Method: what tasks and Nx leave behind, in all
// states.
import { count } from './outcome.ts';
import { outcomesOf } from './nx.ts';

const ended = (ended: string, passed: number, failures: string[] = []): string =>
  JSON.stringify({ ended, passed, skipped: 1, failures });
const started = (started: string): string => JSON.stringify({ started });

describe('count', () => {
  it('adds up what ended', () => {
    const lines = [started('a'), ended('a', 3), started('b'), ended('b', 1, ['does x: Error: no\n  at y'])];
    const sum = count('t', lines, { code: 1 });
    expect(sum).toEqual({ task: 't', passed: 4, skipped: 2, failures: ['b: does x: Error: no · at y'] });
  });

  it('counts a spec that never ended, and a run that was ended', () => {
    expect(count('t', [started('a')], { code: 1 }).failures).toEqual(['a: never ended']);
    expect(count('t', [started('a')], { code: 1, cut: 'too late' }).failures).toEqual(['a: too late']);
    expect(count('t', [], { code: 1, cut: 'too late' }).failures).toEqual(['too late']);
  });

  it('believes no run that fails without a failure', () => {
    expect(count('t', [started('a'), ended('a', 3)], { code: 1 }).failures).toHaveLength(1);
    expect(count('t', [], { code: 0 })).toEqual({ task: 't', passed: 0, skipped: 0, failures: [] });
  });
});

describe('what Nx ran', () => {
  const tasks = [
    { id: 'a:lint', report: undefined },
    { id: 'a:test', report: 'a' },
    { id: 'e2e:e2e', report: 'e' },
  ];
  const reports: Record<string, string[]> = { a: [ended('x', 3)], e: [] };
  const outcomes = (statuses: Record<string, number>, code = 0, cut?: string) =>
    outcomesOf(tasks, new Map(Object.entries(statuses)), { code, cut }, (file) => reports[file] ?? []);

  it('is one check a task, or as many as its report tells', () => {
    expect(outcomes({ 'a:lint': 0, 'a:test': 0, 'e2e:e2e': 0 }).map(({ passed }) => passed)).toEqual([1, 3, 0]);
  });

  it('is a failure where a task failed, or was not run because another had failed', () => {
    const failures = outcomes({ 'a:lint': 1, 'a:test': 0 }, 1).map((outcome) => outcome.failures);
    expect(failures).toEqual([['failed with exit code 1: see above'], [], ['was not run']]);
  });

  it('is a failure where Nx itself was ended', () => {
    const failures = outcomes({}, 1, 'too late').map((outcome) => outcome.failures);
    expect(failures).toEqual([['too late'], ['too late'], ['too late']]);
  });
});
