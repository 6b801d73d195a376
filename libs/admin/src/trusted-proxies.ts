/**
 * Ingresses and load balancers that may say whose request it is they pass on. Each adds at the end of `x-forwarded-for` the address
 * that called it; so that is read from its end, and the first address there that is no trusted proxy is the caller's. What stands
 * before it anybody may have written.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

import { addressBlock, addressOf, isWithin, type AddressBlock } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';

const header = 'x-forwarded-for';
/** Nobody has so many of them in a row; what is before that is not read. */
const hopsMax = 32;

export class TrustedProxies {
  private readonly blocks: readonly AddressBlock[];

  /** @throws MqError BAD_REQUEST */
  constructor(addresses: readonly string[]) {
    this.blocks = addresses.map(trustedBlock);
  }

  has(address: string): boolean {
    const found = addressOf(address);
    return found !== undefined && isWithin(found, this.blocks);
  }

  /** Leaves in the header the caller's address alone, or nothing where nobody trusted says one. */
  clean({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): void {
    const said = headers[header];
    if (said === undefined) return;
    const peer = socket.remoteAddress ?? '';
    // Node.js joins such headers where there are several; its type does not say so.
    const caller = this.has(peer) ? this.callerIn(String(said)) : undefined;
    if (caller === undefined) delete headers[header];
    else headers[header] = caller;
  }

  /** Up to what is no address: what a proxy passed on that it did not write. */
  private callerIn(said: string): string | undefined {
    let caller: string | undefined;
    for (const hop of said.split(',').slice(-hopsMax).reverse()) {
      const address = addressIn(hop.trim());
      if (address === undefined) break;
      caller = address;
      if (!this.has(address)) break;
    }
    return caller;
  }
}

/** Some proxies say the port, too. A zone means something on the proxy alone. */
function addressIn(hop: string): string | undefined {
  const text = hop.replace(/^\[([^[\]]*)\](:\d{1,5})?$/, '$1').replace(/^(\d[\d.]*):\d{1,5}$/, '$1');
  return isIP(text) !== 0 && !text.includes('%') ? text : undefined;
}

function trustedBlock(text: string): AddressBlock {
  const block = addressBlock(text);
  if (block.shift < BigInt(block.bits)) return block;
  throw new MqError('BAD_REQUEST', `"${text}" is everybody: anybody could say any address`);
}

interface TrustSettings {
  readonly trustedProxies: readonly string[];
}

/** For `declare`. */
export function trustedProxiesRule({ trustedProxies }: TrustSettings): true | string {
  try {
    new TrustedProxies(trustedProxies);
    return true;
  } catch (caught) {
    return `trustedProxies: ${MqError.from(caught).reason.replace(/^source address /, '')}`;
  }
}
