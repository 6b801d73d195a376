import { errorCodes, MqError } from '@cometmq/shared';
import { grpcStatus } from './grpc-server.js';
import { errorOf, failWith, statusOf } from './status.js';

it.each(errorCodes)('%s comes back from the wire as it was', (code) => {
  const back = errorOf(statusOf(new MqError(code, 'because')), 'because', code);
  expect([back.code, back.reason]).toEqual([code, 'because']);
});

it('goes by the status where the code is missing or unknown', () => {
  expect(errorOf(grpcStatus.DEADLINE_EXCEEDED, 'x').code).toBe('TIMEOUT');
  expect(errorOf(grpcStatus.UNAVAILABLE, 'x', 'FROM_THE_FUTURE').code).toBe('UNAVAILABLE');
  expect(errorOf(99, '').code).toBe('INTERNAL');
});

it('keeps the words of a stranger to itself', () => {
  const said: unknown[] = [];
  failWith({ fail: (...words) => void said.push(...words) }, new Error('password is 123'));
  expect(said).toEqual([grpcStatus.INTERNAL, 'unexpected failure', 'INTERNAL']);
});
