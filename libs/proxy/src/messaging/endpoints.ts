/**
 * Where clients are told to go for a queue. One object with one address for all queues, and the same in every answer:
 * clients take the set of addresses as the identity of a connection.
 */
import { isIP } from 'node:net';

import { AddressScheme, type Endpoints } from '@cometmq/proto';
import type { CallContext } from '@cometmq/rpc';

import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import type { MessagingLimits } from '../limits.js';

/**
 * @param asked the access point as the client says it knows it
 * @throws MqError BAD_REQUEST
 */
export function endpointsFor(context: ProxyContext, asked: Endpoints | undefined, call: CallContext): Endpoints {
  const { advertised } = context.parts;
  if (asked) checkSize(asked, context.limits);
  if (advertised.kind === 'address') return endpointsOf(advertised.host, advertised.port);
  if (asked && asked.addresses.length > 0 && asked.addresses.every(({ host, port }) => host !== '' && isPort(port))) {
    return asked.scheme === AddressScheme.ADDRESS_SCHEME_UNSPECIFIED
      ? { ...asked, scheme: schemeOf(asked.addresses[0]?.host ?? '') }
      : asked;
  }
  return ofAuthority(call.headers.get(':authority') ?? call.headers.get('host') ?? '');
}

/** What is asked with comes back with every queue of the answer. */
function checkSize({ addresses }: Endpoints, { addressesMax, nameLengthMax }: MessagingLimits): void {
  if (addresses.length > addressesMax) {
    throw new MqError(
      'BAD_REQUEST',
      `the endpoints hold ${addresses.length} addresses; at most ${addressesMax} are allowed`,
    );
  }
  if (addresses.some(({ host }) => host.length > nameLengthMax)) {
    throw new MqError('BAD_REQUEST', `a host of the endpoints has more than ${nameLengthMax} characters`);
  }
}

function ofAuthority(authority: string): Endpoints {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(authority);
  const port = Number(match?.[3] ?? defaultPort);
  return endpointsOf(match?.[1] ?? match?.[2] ?? '127.0.0.1', isPort(port) ? port : defaultPort);
}

const defaultPort = 8081;

/** A scheme that doesn't fit its host breaks the dialling of Python, C++ and Java. */
export function endpointsOf(host: string, port: number): Endpoints {
  return { scheme: schemeOf(host), addresses: [{ host, port }] };
}

function schemeOf(host: string): AddressScheme {
  const version = isIP(host);
  if (version === 4) return AddressScheme.IPv4;
  return version === 6 ? AddressScheme.IPv6 : AddressScheme.DOMAIN_NAME;
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}
