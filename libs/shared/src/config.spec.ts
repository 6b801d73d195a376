import * as fc from 'fast-check';

import { bytes, count, declare, flag, list, millis, oneOf, readConfig, text, type Sources } from './config.js';
import { MqError } from './errors.js';

const declared = declare(
  'broker',
  'keeps messages',
  {
    recordBytesMax: bytes({
      default: 4 * 1024 ** 2,
      min: 1,
      max: 32 * 1024 ** 2,
      why: 'a larger message belongs elsewhere',
    }),
    lagMsMax: millis({ default: 2000, min: 100, max: 60_000, why: 'how long a copy may lag' }),
    sendTimeoutMs: millis({ default: 3000, min: 100, max: 120_000, why: 'how long a send may take' }),
    queues: count({ default: 8, min: 1, max: 1024, why: 'queues of a new topic' }),
    autoCreate: flag({ default: false, why: 'make topics on first use' }),
    mode: oneOf(['both', 'tls'], { default: 'both', why: 'what the port takes' }),
    peers: list({ default: [], why: 'the others' }),
    password: text({ default: 'x', why: 'opens the door', secret: true }),
  },
  (c) => c.sendTimeoutMs > c.lagMsMax || 'sendTimeoutMs must outlast lagMsMax',
);

function sources(argv: string[], env: Record<string, string> = {}, files: Record<string, string> = {}): Sources {
  return {
    argv,
    env,
    readFile: (path) => {
      const found = files[path];
      if (found === undefined) throw new Error('no such file');
      return found;
    },
  };
}

function values(argv: string[], env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const reading = readConfig(declared, sources(argv, env, files));
  if (reading.kind !== 'run') throw new Error(`expected values, was shown ${reading.text}`);
  return reading;
}

function mistakes(argv: string[], env: Record<string, string> = {}, files: Record<string, string> = {}): string {
  try {
    readConfig(declared, sources(argv, env, files));
  } catch (caught) {
    const error = MqError.from(caught);
    expect(error.code).toBe('CONFIG');
    return error.reason;
  }
  throw new Error('expected a mistake');
}

describe('configuration', () => {
  it('takes flags over environment over file over defaults, and says where each came from', () => {
    const file = { 'a.conf': '# ours\nqueues = 2\nlagMsMax=200\nmode = tls' };
    const { values: v, origins } = values(
      ['--config', 'a.conf', '--queues=4'],
      { COMETMQ_QUEUES: '3', COMETMQ_LAG_MS_MAX: '300' },
      file,
    );
    expect([v.queues, v.lagMsMax, v.mode, v.recordBytesMax]).toEqual([4, 300, 'tls', 4 * 1024 ** 2]);
    expect([origins['queues'], origins['lagMsMax'], origins['mode'], origins['peers']]).toEqual([
      'flag',
      'environment',
      'file',
      'default',
    ]);
  });

  it('understands units, switches and lists', () => {
    const { values: v } = values([
      '--record-bytes-max',
      '8MiB',
      '--auto-create',
      '--peers',
      'a, b',
      '--lag-ms-max',
      '1s',
    ]);
    expect([v.recordBytesMax, v.autoCreate, v.peers, v.lagMsMax]).toEqual([8 * 1024 ** 2, true, ['a', 'b'], 1000]);
  });

  it('tells every mistake at once, each with what is allowed', () => {
    const said = mistakes(['--queues=0', '--mode', 'tsl', '--que=1'], { COMETMQ_RECORD_BYTES_MAX: '4MB' });
    expect(said).toContain('--queues=0: must be a whole number from 1 to 1024');
    expect(said).toContain('--mode=tsl: must be one of both, tls');
    expect(said).toContain('COMETMQ_RECORD_BYTES_MAX=4MB: must be a whole number');
    expect(said).toContain('--que: unknown flag');
  });

  it('refuses unknown names with the nearest one', () => {
    expect(mistakes([], { COMETMQ_QEUES: '1' })).toBe('COMETMQ_QEUES: unknown setting; did you mean COMETMQ_QUEUES?');
    expect(mistakes(['--config=f'], {}, { f: 'queus = 1' })).toContain('did you mean queues?');
  });

  it('lets the variables pass that Kubernetes adds for services', () => {
    const env = { COMETMQ_PROXY_SERVICE_HOST: '10.0.0.1', COMETMQ_PROXY_PORT_8081_TCP: 'tcp://10.0.0.1:8081' };
    expect(values([], env).values.queues).toBe(8);
  });

  it('checks rules between settings', () => {
    expect(mistakes(['--send-timeout-ms', '1000'])).toBe('sendTimeoutMs must outlast lagMsMax');
  });

  it('never shows a secret, neither in --print-config nor in --help nor in a mistake', () => {
    for (const word of ['--print-config', '--help']) {
      const reading = readConfig(declared, sources([word], { COMETMQ_PASSWORD: 'hunter2' }));
      expect(reading.kind === 'show' && reading.text).toContain('assword');
      expect(reading.kind === 'show' && reading.text).not.toContain('hunter2');
    }
  });

  it('shows nothing of a line of a file but its name, where it is not understood', () => {
    const said = mistakes(['--config=f'], {}, { f: 'pasword = hunter2\npassword hunter2' });
    expect(said).toBe('f:1: pasword: unknown setting; did you mean password?\nf:2: must be "name = value"');
  });

  it('reads a secret from the file that a _FILE variable names', () => {
    expect(values([], { COMETMQ_PASSWORD_FILE: 's' }, { s: 'hunter2\n' }).values.password).toBe('hunter2');
  });

  it('gives values within bounds or a CONFIG error, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), (given) => {
        try {
          const { values: v } = values([`--queues=${given}`]);
          expect(v.queues).toBeGreaterThanOrEqual(1);
          expect(v.queues).toBeLessThanOrEqual(1024);
        } catch (caught) {
          expect(MqError.from(caught).code).toBe('CONFIG');
        }
      }),
    );
  });
});
