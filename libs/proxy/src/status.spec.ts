import { Code, Status } from '@cometmq/proto';
import { MqError, errorCodes } from '@cometmq/shared';

import { commonOutcome, ok, outcomeOf, putStatusField, statusFieldBytes, statusOnly, wireCode } from './status.js';

const headings = [
  Code.PAYMENT_REQUIRED,
  Code.NOT_FOUND,
  Code.PAYLOAD_TOO_LARGE,
  Code.PRECONDITION_FAILED,
  Code.INTERNAL_ERROR,
];

it('turns every error into a code that clients know, never 0 and never a class heading', () => {
  const known = new Set<number>(Object.values(Code));
  for (const code of errorCodes) {
    expect(known.has(wireCode[code])).toBe(true);
    expect(wireCode[code]).toBeGreaterThan(Code.OK);
    expect(headings).not.toContain(wireCode[code]);
  }
});

it.each([
  ['CORRUPT_RECORD', 'the record at 4096 of /var/lib/cometmq/data/broker/log/0000.seg is damaged', undefined],
  ['DATA_FOLDER', '/var/lib/cometmq/data belongs to broker "a"', undefined],
  ['DISK_FAILED', 'the disk under the log failed: EIO /dev/vda', undefined],
  ['CONFIG', 'can not read /etc/cometmq/tls.pem', undefined],
  ['INTERNAL', 'store.ts said', undefined],
  ['UNAVAILABLE', 'No connection established. Last error: connect ECONNREFUSED 10.1.2.3:10911', new Error('14')],
  ['TIMEOUT', 'Deadline exceeded after 3.006s,remote_addr=10.1.2.3:10911', new Error('4')],
] as const)('says nothing of our inside for %s', (code, reason, cause) => {
  const { message } = outcomeOf(new MqError(code, reason, cause && { cause }));
  expect(message).not.toBe('');
  expect(message).not.toMatch(/\/|\d|\.ts|EIO|ECONN/);
});

it('keeps what a client can use', () => {
  const known = new MqError('TOPIC_NOT_FOUND', 'topic "a" does not exist', { cause: new Error('5') });
  expect(outcomeOf(known).message).toBe('topic "a" does not exist');
  expect(outcomeOf(new MqError('UNAVAILABLE', 'no broker takes new messages at the moment')).message).toMatch(
    /no broker/,
  );
});

it('writes what the generated decoder reads', () => {
  for (const outcome of [ok, outcomeOf(new MqError('ILLEGAL_TOPIC', 'ungültig ☃')), { code: Code.OK, message: '' }]) {
    const out = Buffer.alloc(statusFieldBytes(outcome));
    expect(putStatusField(out, 0, outcome, 0x1a)).toBe(out.length);
    expect(out[0]).toBe(0x1a);
    expect(Status.decode(out.subarray(2))).toEqual(outcome);
    expect(Status.decode(statusOnly(outcome).subarray(2))).toEqual(outcome);
  }
});

it('joins results', () => {
  const bad = outcomeOf(new MqError('ILLEGAL_TOPIC', 'x'));
  expect(commonOutcome([ok, ok])).toBe(ok);
  expect(commonOutcome([bad, bad])).toBe(bad);
  expect(commonOutcome([ok, bad]).code).toBe(Code.MULTIPLE_RESULTS);
  expect(commonOutcome([]).code).toBe(Code.INTERNAL_SERVER_ERROR);
});
