import { bytes, count, flag, hostAndPort, millis, oneOf, port, text, type Setting } from '@cometmq/shared';
import { traceSettings } from '@cometmq/telemetry';

import { defaultLimits, type Advertised, type MessagingLimits } from './limits.js';
import type { RateLimits } from './rates.js';

const { bodyBytesMax, delayMsMax, pollMsMax, pollsMax } = defaultLimits;
const year = 365 * 24 * 3_600_000;

function rate(kind: typeof count | typeof bytes, of: string): Setting<number> {
  const why = `How many ${of} a second one proxy takes; 0: no limit. Beyond it the answer is TOO_MANY_REQUESTS with when to try again.`;
  return kind({ default: 0, min: 0, max: 1e12, why });
}

/** What can be set of the front context, wherever it runs. */
export const proxySettings = {
  proxyHost: text({ default: '0.0.0.0', why: 'The address the clients’ gRPC protocol is served on.' }),
  proxyPort: port({ default: 8081, why: 'The clients’ gRPC port, for TLS and plain text; 0: any free one.' }),
  listenMode: oneOf(['both', 'tls-only', 'plaintext-only'], {
    default: 'both',
    why: 'What the clients’ port takes. The official clients differ in what they speak by default.',
  }),
  tlsCertFile: text({
    default: '',
    why: 'PEM file of the certificate; empty: a self-signed one is made at the start.',
  }),
  tlsKeyFile: text({ default: '', why: 'PEM file of the certificate’s key.' }),
  ...traceSettings,
  proxyProtocol: flag({
    default: false,
    why: 'Believe the PROXY protocol’s header (versions 1 and 2) on the clients’ port. Only behind a load balancer that sends it: it says who the caller is.',
  }),
  clientConnectionsMax: count({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    why: 'Client connections at once. When all are taken, the address that has the most gives one up for another.',
  }),
  clientConnectionsPerAddressMax: count({
    default: 2_500,
    min: 1,
    max: 1_000_000,
    why: 'Client connections at once from one IPv4 address or one IPv6 /64. Raise it behind a balancer or a NAT that hides who calls.',
  }),
  clientMemoryBytesMax: bytes({
    default: 256 * 1024 * 1024,
    min: 32 * 1024 * 1024,
    max: 64 * 1024 ** 3,
    why: 'Memory for messages on their way in and out: one half for requests, one for answers. Above it clients are slowed down. A pod needs some three times as much.',
  }),
  advertisedAddress: text({
    default: '',
    why: 'host:port that clients are told to connect to; empty: the address they came by.',
  }),
  bodyBytesMax: bytes({
    default: bodyBytesMax,
    min: 1,
    max: 64 * 1024 * 1024,
    why: 'The largest body of a message, as sent. Clients are told it in their settings.',
  }),
  delayMsMax: millis({
    default: delayMsMax,
    min: 1_000,
    max: 100 * year,
    why: 'How far ahead the delivery time of a delayed message may lie.',
  }),
  pollMsMax: millis({ default: pollMsMax, min: 100, max: 120_000, why: 'The longest a receive may wait.' }),
  creationsPerAddressMax: count({
    default: defaultLimits.creationsPerAddressMax,
    min: 0,
    max: 1_000_000,
    why: 'Topics and groups that first uses by clients of one address may make in a minute; 0: no limit. Only where autoCreateTopics or autoCreateGroups is on.',
  }),
  clientPollsMax: count({ default: pollsMax, min: 1, max: 10_000_000, why: 'Receives that may wait on one proxy.' }),
  topicRequestsPerSecond: rate(count, 'messages sent to, and polls of, one topic'),
  topicBytesPerSecond: rate(bytes, 'bytes of sends to, and polls of, one topic'),
  groupRequestsPerSecond: rate(count, 'polls of one consumer group'),
  groupBytesPerSecond: rate(bytes, 'bytes of the polls of one consumer group'),
  addressRequestsPerSecond: rate(count, 'messages sent, and polls, from one address'),
  addressBytesPerSecond: rate(bytes, 'bytes of sends and polls from one address'),
};

type LimitSettings = Pick<MessagingLimits, 'bodyBytesMax' | 'delayMsMax' | 'pollMsMax' | 'creationsPerAddressMax'> &
  RateLimits & {
    clientPollsMax: number;
  };

export function limitsOf(config: LimitSettings): MessagingLimits {
  return {
    ...defaultLimits,
    bodyBytesMax: config.bodyBytesMax,
    delayMsMax: config.delayMsMax,
    pollMsMax: config.pollMsMax,
    creationsPerAddressMax: config.creationsPerAddressMax,
    topicRequestsPerSecond: config.topicRequestsPerSecond,
    topicBytesPerSecond: config.topicBytesPerSecond,
    groupRequestsPerSecond: config.groupRequestsPerSecond,
    groupBytesPerSecond: config.groupBytesPerSecond,
    addressRequestsPerSecond: config.addressRequestsPerSecond,
    addressBytesPerSecond: config.addressBytesPerSecond,
    pollsMax: config.clientPollsMax,
  };
}

/** `host:port`, `[v6]:port`, or nothing for the address that clients came by. */
export function advertisedOf(address: string): Advertised {
  const at = hostAndPort(address);
  return at ? { kind: 'address', ...at } : { kind: 'echo' };
}

/** For `declare`: what an advertised address must look like. */
export function advertisedRule({ advertisedAddress }: { readonly advertisedAddress: string }): true | string {
  if (advertisedAddress === '' || advertisedOf(advertisedAddress).kind === 'address') return true;
  return `advertisedAddress=${advertisedAddress}: must be host:port`;
}
