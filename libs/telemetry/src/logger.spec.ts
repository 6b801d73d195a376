// Goal: people read lines, and nothing that was sent to us can move their cursor. Method: what would be written.
import { ManualClock } from '@cometmq/shared/testing';

import { createTerminalLogger, type LogLevel } from './logger.js';
import { asBlock, reachedAt } from './program.js';

function lines(level: LogLevel = 'info') {
  const written: string[] = [];
  return { written, log: createTerminalLogger(level, new ManualClock(), (text) => written.push(text)) };
}

describe('the log at a terminal', () => {
  it('is a line with the time, what happened and the facts', () => {
    const { written, log } = lines();
    log.info({ broker: 'broker-0', epoch: 3, path: '/data/log', nothing: undefined }, 'the broker leads');
    expect(written).toEqual([
      expect.stringMatching(/^\d\d:\d\d:\d\d the broker leads {2}broker=broker-0 epoch=3 path=\/data\/log\n$/),
    ]);
  });

  it('shows what should be seen, and leaves out what is below its level', () => {
    const { written, log } = lines('warn');
    log.info({}, 'all well');
    log.error({}, 'not well');
    expect(written).toEqual([expect.stringContaining('ERROR\x1b[0m not well\n')]);
  });

  it('says facts of any form in one line, without control characters', () => {
    const { written, log } = lines();
    log.info({ cause: 'a\nb\x1b[2J', list: [1, 2n], text: 'two words' }, 'x');
    expect(written[0]).toContain('cause="a\\nb\\u001b[2J" list=[1,2] text="two words"\n');
  });
});

describe('readiness', () => {
  it('is a block of names and values with advice below', () => {
    const text = asBlock({ what: 'It', facts: { clients: 'a:1', api: 'b' }, advice: ['Send.'] });
    expect(text).toBe('\nIt is ready.\n\n  clients  a:1\n  api      b\n\nSend.\nCtrl-C stops it.\n\n');
  });

  it.each([
    ['0.0.0.0', '127.0.0.1:80'],
    ['::', '127.0.0.1:80'],
    ['::1', '[::1]:80'],
    ['10.0.0.7', '10.0.0.7:80'],
  ])('what listens on %s is reached at %s', (host, reached) => {
    expect(reachedAt(host, 80)).toBe(reached);
  });
});
