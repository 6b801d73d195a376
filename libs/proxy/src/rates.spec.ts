// Goal: whoever is noisy is refused early and with a hint, and nobody else is. Method: counts, and a clock that is moved by hand.
import { MessageType } from '@cometmq/model';
import { Code, Encoding, SendMessageRequest, SendMessageResponse } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { defaultLimits } from './limits.js';
import { Rates, ratesOf, type RateLimits } from './rates.js';
import { openProxy } from './testing.js';

const ratesWith = (limits: Partial<RateLimits>): Rates => new Rates({ ...defaultLimits, ...limits });
const by = (topic: string, group: string | undefined, address: string) => ({ topic, group, peer: `${address}:5000` });

/** How many of so many are refused, and how the last refusal is told. */
function refusedOf(count: number, take: () => void): { refused: number; said: string } {
  let [refused, said] = [0, ''];
  for (let i = 0; i < count; i += 1) {
    try {
      take();
    } catch (caught) {
      refused += 1;
      said = MqError.from(caught).message;
    }
  }
  return { refused, said };
}

it.each([
  ['topic', { topicRequestsPerSecond: 10 }, by('orders', 'g', '192.0.2.1'), by('others', 'g', '192.0.2.1')],
  ['consumer group', { groupRequestsPerSecond: 10 }, by('orders', 'g', '192.0.2.1'), by('orders', 'h', '192.0.2.1')],
  ['address', { addressRequestsPerSecond: 10 }, by('orders', 'g', '192.0.2.1'), by('orders', 'g', '192.0.2.2')],
])('each %s has its own, and who keeps to it notices nothing of who does not', (what, limits, noisy, quiet) => {
  const rates = ratesWith(limits);
  const { refused, said } = refusedOf(30, () => rates.take(noisy, 1, 100, 0));
  expect(refused).toBe(20);
  expect(said).toMatch(new RegExp(`^\\[TOO_MANY_REQUESTS\\] ${what} ".*" has used up its 10 requests a second`));
  expect(said).toMatch(/try again in 100 ms$/);
  expect(refusedOf(10, () => rates.take(quiet, 1, 100, 0)).refused).toBe(0);
  expect(refusedOf(10, () => rates.take(noisy, 1, 100, 500)).refused).toBe(5);
});

it('bytes are counted too; one request larger than a second’s worth gets through, and is paid for', () => {
  const rates = ratesWith({ topicBytesPerSecond: 1_000 });
  const send = (nowMs: number) => (): void => rates.take(by('orders', undefined, '192.0.2.1'), 1, 5_000, nowMs);
  expect(refusedOf(2, send(0))).toMatchObject({ refused: 1, said: expect.stringContaining('1000 bytes a second') });
  expect(refusedOf(1, send(4_000)).refused).toBe(1);
  expect(refusedOf(1, send(5_000)).refused).toBe(0);
});

it('sends belong to no group, and nothing is counted where nothing is limited', () => {
  const rates = ratesWith({ groupRequestsPerSecond: 1 });
  expect(refusedOf(50, () => rates.take(by('orders', undefined, '192.0.2.1'), 1, 1, 0)).refused).toBe(0);
  expect(ratesOf(defaultLimits)).toBeUndefined();
});

it('a send beyond it is answered TOO_MANY_REQUESTS, and never reaches the broker', async () => {
  const proxy = await openProxy({ limits: { ...defaultLimits, topicRequestsPerSecond: 3 } });
  proxy.nameService.putTopic('orders', { type: MessageType.normal });
  const request = SendMessageRequest.encode(
    SendMessageRequest.fromPartial({
      messages: [
        {
          topic: { name: 'orders' },
          body: Buffer.from('x'),
          systemProperties: {
            messageId: 'm1',
            messageType: 1,
            bornTimestamp: { seconds: 1, nanos: 0 },
            bodyEncoding: Encoding.IDENTITY,
          },
        },
      ],
    }),
  ).finish();
  const codes: (number | undefined)[] = [];
  for (let i = 0; i < 5; i += 1) {
    const call = proxy.call('SendMessage', request);
    for (let turn = 0; turn < 40; turn += 1) await Promise.resolve();
    const [answer] = call.items;
    codes.push(answer && SendMessageResponse.decode(answer).status?.code);
  }
  expect(codes.slice(3)).toEqual([Code.TOO_MANY_REQUESTS, Code.TOO_MANY_REQUESTS]);
  expect(proxy.messaging.counters.throttled).toMatchObject({ rate: 2, quota: 0 });
  expect(proxy.broker.sent).toHaveLength(3);
  await proxy.stop();
});

it('keeps nothing of names that nothing can have: they may be as long as a request', () => {
  const rates = ratesWith({ topicRequestsPerSecond: 1, groupRequestsPerSecond: 1 });
  const long = 'x'.repeat(256);
  expect(refusedOf(10, () => rates.take(by(long, long, '192.0.2.1'), 1, 100, 0)).refused).toBe(0);
  expect(rates['topic']?.requests?.get(long)).toBeUndefined();
  expect(rates['group']?.requests?.get(long)).toBeUndefined();
});
