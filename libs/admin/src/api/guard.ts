import { MqError } from '@cometmq/shared';

/**
 * A page of some other site must not be able to use a visitor's browser as its hand, whether there is a login or not:
 * - what changes something and comes from another origin is refused (browsers say where a request comes from);
 * - on a loopback address the Host must be an address or a name that was allowed, or a stranger's name that resolves
 *   to 127.0.0.1 would count as the same origin (DNS rebinding).
 */
export interface GuardedRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

const harmless = new Set(['GET', 'HEAD', 'OPTIONS']);
const address = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\])$/;

/** @throws MqError FORBIDDEN */
export function guard({ method, headers }: GuardedRequest, listensOn: string, names: readonly string[]): void {
  const host = one(headers['host']) ?? '';
  if (isLoopback(listensOn)) {
    const name = host.replace(/:\d+$/, '').toLowerCase();
    if (!address.test(name) && name !== 'localhost' && !names.includes(name)) {
      throw new MqError('FORBIDDEN', 'this host name is not allowed here; adminHostNames names those that are');
    }
  }
  if (harmless.has(method)) return;
  const origin = one(headers['origin']);
  const crossSite = one(headers['sec-fetch-site']) === 'cross-site';
  if (crossSite || (origin !== undefined && origin.replace(/^https?:\/\//, '') !== host)) {
    throw new MqError('FORBIDDEN', 'changes may not be asked for by pages of another origin');
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function one(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.[0];
}
