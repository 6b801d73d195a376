import { PassThrough } from 'node:stream';

import { realWorld } from './real-world.js';

// Goal: whoever is asked for something may walk away. Method: the real prompt and standard input, on a stream of ours.
describe('what is waited for on standard input is given up', () => {
  const { stdin: real } = process;
  let typed: PassThrough;
  const put = (stdin: unknown): void =>
    void Object.defineProperty(process, 'stdin', { value: stdin, configurable: true });
  beforeEach(() => put((typed = new PassThrough())));
  afterEach(() => put(real));

  const ways = ['readAllInput', 'ask', 'askSecret'] as const;
  it.each(ways)('when the command is interrupted: %s', async (way) => {
    const interrupt = new AbortController();
    const waiting = realWorld(interrupt.signal)[way]('');
    typed.write('half a li');
    interrupt.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('when the terminal says Ctrl-C: askSecret', async () => {
    const waiting = realWorld(new AbortController().signal).askSecret('');
    typed.write('\x03');
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
