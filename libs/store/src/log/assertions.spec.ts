// Goal: an assertion that fails while the log is at work is a programming error, not a failed disk. Method: the one place
// that all failures of writing come to is given both.
import { AssertionError } from 'node:assert';

import type { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { MemoryDisk, systemError } from '../disk/memory-disk.js';
import { smallLimits } from './log-harness.js';
import { LogParts } from './log-parts.js';

it('an assertion that failed below the log is thrown on, a failed disk is told', () => {
  const failures: MqError[] = [];
  const events = { onFailed: (error: MqError) => failures.push(error), onSealed: () => undefined };
  const { writer } = new LogParts(new MemoryDisk(), 'log', smallLimits, new ManualClock(), events);
  expect(() => writer.fail(new AssertionError({ message: 'planted' }))).toThrow(AssertionError);
  expect(failures).toEqual([]);
  writer.fail(systemError('EIO', 'planted'));
  expect(failures.map(({ code }) => code)).toEqual(['DISK_FAILED']);
});
