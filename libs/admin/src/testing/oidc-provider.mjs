/**
 * A real identity provider (the package oidc-provider) in a process of its own, with keys that are new at each start:
 *
 *   node oidc-provider.mjs <port> <redirect URL>        prints its issuer when it listens
 *
 * Whoever logs in is who they say they are, by any password. Groups are told by the name: `ada.ops.dev` is in ops and dev.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import process from 'node:process';

import { Provider } from 'oidc-provider';

const [port = '0', redirectUrl = ''] = process.argv.slice(2);

const server = createServer();
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' };
const signs = { id_token_signed_response_alg: 'ES256' };

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: [randomUUID()] },
  clients: [
    {
      ...{ client_id: 'console', client_secret: 'console-secret', redirect_uris: [redirectUrl], ...signs },
      ...(process.env.LOGOUT_URL && {
        backchannel_logout_uri: process.env.LOGOUT_URL,
        backchannel_logout_session_required: process.env.LOGOUT_BY_SUBJECT !== 'true',
      }),
    },
    {
      ...{ client_id: 'cli', token_endpoint_auth_method: 'none', ...signs },
      ...{ grant_types: ['urn:ietf:params:oauth:grant-type:device_code'], redirect_uris: [], response_types: [] },
    },
    // Knows the same people, and its tokens are for nobody else.
    {
      ...{ client_id: 'stranger', token_endpoint_auth_method: 'none', ...signs },
      ...{ grant_types: ['urn:ietf:params:oauth:grant-type:device_code'], redirect_uris: [], response_types: [] },
    },
  ],
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  // So they are in the ID token; where it is asked to leave them out, they are told by the userinfo endpoint alone.
  conformIdTokenClaims: process.env.CLAIMS_IN_USERINFO === 'true',
  findAccount: (_context, id) => {
    const [name, ...groups] = id.split('.');
    return { accountId: id, claims: () => ({ sub: id, preferred_username: name, groups }) };
  },
  // Nobody is asked whether the console may know them.
  loadExistingGrant: async (context) => {
    const { client, session } = context.oidc;
    const grant = new context.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid profile email');
    await grant.save();
    return grant;
  },
  features: { deviceFlow: { enabled: true }, backchannelLogout: { enabled: true } },
  // It would refuse to speak to loopback addresses.
  fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined, signal: undefined }),
  ttl: { IdToken: 600, AccessToken: 600 },
});
server.on('request', provider.callback());
process.stdout.write(`${issuer}\n`);
