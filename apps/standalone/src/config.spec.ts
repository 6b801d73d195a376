// Goal: settings that can't work together are refused at the start, by name. Method: command lines, read as the program does.
import { readConfig } from '@cometmq/shared';

import { standaloneConfig } from './config.js';

describe('settings of the whole system', () => {
  const read = (...args: string[]): unknown =>
    readConfig(standaloneConfig, { argv: args, env: {}, readFile: () => '' });

  it('take their defaults', () => {
    expect(read()).toMatchObject({ kind: 'run' });
  });

  it.each(['topic', 'group', 'address'])('take the bytes a second of a %s as all bytes are given', (of) => {
    expect(read(`--${of}-bytes-per-second=64KiB`)).toMatchObject({ values: { [`${of}BytesPerSecond`]: 65_536 } });
  });

  it.each([
    [['--segment-bytes=4MiB'], 'recordBytesMax'],
    [['--body-bytes-max=8MiB'], 'bodyBytesMax'],
    [['--record-bytes-max=100MiB'], 'record-bytes-max'],
    [['--advertised-address=nowhere'], 'advertisedAddress'],
  ])('refuse %j', (args, named) => {
    expect(() => read(...args)).toThrow(named);
  });
});
