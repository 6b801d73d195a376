/**
 * A login by the team's identity provider without a browser on this machine: the person confirms a code in whatever browser
 * they have (OAuth's device flow), and the cluster changes the provider's token for one of its own.
 */
import { MqError } from '@cometmq/shared';

import { RestClient } from './rest-client.js';
import type { Session } from './session.js';

interface Described {
  readonly login: boolean;
  readonly oidc?: { readonly issuer: string; readonly deviceClientId?: string };
}

export interface DeviceLogin {
  readonly user: string;
  readonly token: string;
  readonly untilMs: number;
}

/** @throws MqError UNSUPPORTED, UNAVAILABLE, UNAUTHORIZED, CANCELLED */
export async function deviceLogin(session: Session): Promise<DeviceLogin> {
  const { world, timeoutMs } = session;
  const rest = (token?: string): RestClient =>
    new RestClient(world.fetch, world.clock, session.target.api, timeoutMs, () => Promise.resolve(token));
  const { oidc } = await rest().get<Described>('/session');
  if (oidc?.deviceClientId === undefined) {
    throw new MqError(
      'UNSUPPORTED',
      oidc
        ? 'the cluster has no client for the device flow of its identity provider; oidcDeviceClientId names one'
        : 'the cluster has no identity provider; oidcIssuer names one',
    );
  }
  const idToken = await confirmed(session, oidc.issuer, oidc.deviceClientId);
  const { token, untilMs } = await rest().call<{ token: string; untilMs: number }>('POST', '/login/oidc', { idToken });
  const { user } = await rest(token).get<{ user: string }>('/session');
  return { user, token, untilMs };
}

/** The provider's word of who has confirmed. */
async function confirmed(session: Session, issuer: string, clientId: string): Promise<string> {
  const { world } = session;
  const openid = await import('openid-client');
  try {
    const url = new URL(issuer);
    const config = await openid.discovery(url, clientId, undefined, openid.None(), {
      [openid.customFetch]: (address, request) => world.fetch(address, request as RequestInit),
      // The cluster's settings allow that on loopback addresses alone, which is what it is marked for.
      // eslint-disable-next-line @typescript-eslint/no-deprecated
      ...(isLoopback(url) && { execute: [openid.allowInsecureRequests] }),
    });
    const asked = await openid.initiateDeviceAuthorization(config, { scope: 'openid profile email' });
    const { verification_uri: page, verification_uri_complete: whole = page, user_code: code } = asked;
    session.note(`open ${whole} in a browser, and confirm the code ${code}`);
    const tokens = await openid.pollDeviceAuthorizationGrant(config, asked, undefined, { signal: world.interrupted });
    if (tokens.id_token !== undefined) return tokens.id_token;
    throw new MqError('UNAUTHORIZED', `${issuer} has not said who confirmed: it gives no ID token`);
  } catch (caught) {
    if (caught instanceof MqError) throw caught;
    if (world.interrupted.aborted) throw new MqError('CANCELLED', 'nobody is logged in');
    const { error } = (caught ?? {}) as { readonly error?: unknown };
    if (typeof error === 'string') throw new MqError('UNAUTHORIZED', `${issuer} refused the login: ${error}`);
    throw new MqError('UNAVAILABLE', `the identity provider ${issuer} does not answer as it should`, { cause: caught });
  }
}

function isLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && (hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.'));
}
