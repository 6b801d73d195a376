import { availableParallelism } from 'node:os';

import { read, usage } from './command-line.js';

it('says how it is used when it is asked', () => {
  expect(read(['--help'])).toEqual({ print: usage, status: 0 });
});

it.each([
  [['--what'], /--what/],
  [['--seeds'], /--seeds/],
  [['--seeds', 'many'], /^--seeds many: must be a whole number from 1 to/],
  [['--members', '4'], /^--members 4: must be a whole number from 1 to 3/],
  [['--jobs', '0'], /^--jobs 0: must be a whole number from 1 to/],
  [['more'], /more/],
])('says what is wrong with %j, and how it is used', (args, what) => {
  const found = read(args);
  expect(found).toMatchObject({ status: 1, print: expect.stringMatching(what) });
  expect('print' in found && found.print.endsWith(usage)).toBe(true);
});

it('takes what is right', () => {
  const jobs = availableParallelism();
  const rest = { jobs, simMs: 60_000, hasAll: false, trace: false, goesOn: false };
  expect(read([])).toEqual({ ...rest, first: 1, count: 10, members: 3 });
  expect(read(['--seed', '7', '--members', '2', '--trace'])).toEqual({
    ...{ ...rest, first: 7, count: 1, members: 2, trace: true, jobs: 1 },
  });
  expect(read(['--from', '5', '--seeds', '20', '--go-on'])).toMatchObject({ first: 5, count: 20, goesOn: true });
  expect(read(['--all'])).toMatchObject({ hasAll: true });
  expect(read(['--jobs', '3'])).toMatchObject({ jobs: 3 });
});
