import type { Logger } from './logger.js';
import { silentLogger } from './logger.js';
import { unexpectedFailures } from './unexpected-failures.js';

it('tells of each kind of failure with its cause, and of a flood in few lines', () => {
  const told: { cause: string; count: number }[] = [];
  const log: Logger = { ...silentLogger, error: (facts) => told.push(facts as { cause: string; count: number }) };
  const tell = unexpectedFailures(log);
  for (let i = 0; i < 250; i += 1) tell(new Error('EMFILE'));
  tell(new TypeError('another', { cause: 'a word' }));
  expect(told.map(({ cause, count }) => [cause.split('\n')[0], count])).toEqual([
    ['Error: EMFILE', 1],
    ['Error: EMFILE', 10],
    ['Error: EMFILE', 100],
    ['TypeError: another', 1],
  ]);
  expect(told[3]?.cause).toContain('caused by a word');
});
