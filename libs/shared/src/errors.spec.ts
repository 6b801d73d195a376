import { failureFacts, MqError, onUnexpected } from './errors.js';

it('tells of every stranger that is answered as unexpected', () => {
  const told: unknown[] = [];
  onUnexpected((cause) => told.push(cause));
  try {
    const stranger = new Error('EMFILE');
    MqError.from(new MqError('TIMEOUT', 'known'));
    expect(MqError.from(stranger)).toMatchObject({ code: 'INTERNAL', cause: stranger });
    expect(told).toEqual([stranger]);
  } finally {
    onUnexpected(undefined);
  }
});

describe('what a log says of a failure', () => {
  it('is its reason', () => {
    expect(failureFacts(new MqError('STORAGE_FULL', 'the disk is full'))).toEqual({ reason: 'the disk is full' });
  });

  it('names the cause of an unexpected one, and what is behind that', () => {
    const facts = failureFacts(new Error('above', { cause: new TypeError('the real one') }));
    expect(facts.reason).toBe('unexpected failure');
    expect(facts.cause).toMatch(/Error: above\n[^]*errors\.spec[^]*caused by TypeError: the real one/);
    expect(failureFacts('a word').cause).toBe('a word');
  });
});
