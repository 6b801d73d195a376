/** Calls of the clients' protocol that `PublicClient` does not make. */
import type { SimClient } from './world.js';

const service = '/apache.rocketmq.v2.MessagingService';
const requestMsMax = 3_000;

/** @throws MqError */
export function call(
  { client, channel, process }: SimClient,
  method: string,
  request: Uint8Array,
): Promise<Uint8Array> {
  const headers = {
    'x-mq-client-id': client.clientId,
    'x-mq-language': 'OTHER',
    'x-mq-client-version': '5.0.0',
    'x-mq-protocol': 'v2',
  };
  return channel.unary(`${service}/${method}`, request, { deadlineMs: process.monotonicMs() + requestMsMax, headers });
}
