/**
 * Who asks, and whether they may. A program says `Authorization: Bearer <token>`, a browser brings its session in a cookie
 * and, with what changes something, the session's CSRF token in a header.
 */
import { anyone, type Principal, type ReadToken, tokenPrefix } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { onlySuper, rules, type Rule } from './access-rules.js';
import type { AdminIdentity } from './context.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; everybody, where there are no users. */
    principal: Principal;
    /** Of a browser that has logged in. */
    session: ReadToken | undefined;
  }
}

export const sessionLifeMs = 30 * 60_000;
export const sessionLongestMs = 12 * 3_600_000;
/** A session that is used is prolonged so often. */
const prolongMs = 5 * 60_000;
const harmless = new Set(['GET', 'HEAD', 'OPTIONS']);

export function addAccess(app: FastifyInstance, identity: AdminIdentity | undefined): void {
  app.decorateRequest('principal');
  app.decorateRequest('session');
  app.addHook('onRequest', async (request, reply) => {
    request.principal = anyone;
    request.session = undefined;
    if (!identity) return;
    const rule = ruleOf(request);
    const principal = rule === undefined ? anyone : await principalIn(request, reply, identity);
    if (principal) request.principal = principal;
    else if (rule !== 'open') {
      reply.header('www-authenticate', 'Bearer realm="CometMQ"');
      throw new MqError('UNAUTHORIZED', 'log in: comet login, or POST /api/v1/login for a token');
    }
  });
  // Before what was asked is looked at any closer: who may not, learns nothing of what is right.
  app.addHook('preValidation', async (request) => {
    const rule = ruleOf(request);
    if (identity && typeof rule === 'function') rule(request, request.principal, identity.clusterName);
  });
}

/** Undefined: no operation of the API, but a page. */
function ruleOf({ routeOptions }: FastifyRequest): Rule | undefined {
  const { operationId } = (routeOptions.schema ?? {}) as { operationId?: string };
  if (operationId === undefined) return undefined;
  return rules[operationId] ?? onlySuper;
}

/** Undefined: the request says nothing of it. @throws MqError UNAUTHORIZED, FORBIDDEN, UNAVAILABLE */
async function principalIn(
  request: FastifyRequest,
  reply: FastifyReply,
  identity: AdminIdentity,
): Promise<Principal | undefined> {
  const { tokens, oidc } = identity;
  const [, bearer] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (bearer !== undefined) {
    const isOurs = !oidc || bearer.startsWith(tokenPrefix);
    return isOurs ? tokens.read('bearer', bearer).principal : tokens.externalPrincipal(await oidc.bearer(bearer));
  }
  const cookie = cookieIn(request, 'session');
  if (cookie === undefined) return undefined;
  let session: ReadToken;
  try {
    session = tokens.read('session', cookie);
  } catch {
    return undefined; // As if it had none: the page asks to log in.
  }
  if (!harmless.has(request.method)) {
    const said = request.headers['x-csrf-token'];
    if (typeof said !== 'string' || !tokens.isCsrfOf(session.id, said)) {
      throw new MqError(
        'FORBIDDEN',
        'the header x-csrf-token must hold the token of the session; GET /api/v1/session tells it',
      );
    }
  }
  request.session = session;
  if (session.untilMs - identity.clock.wallMs() < sessionLifeMs - prolongMs) {
    const { token } = tokens.issue('session', session.principal, sessionLifeMs, session);
    setCookie(request, reply, token, sessionLifeMs);
  }
  return session.principal;
}

export type CookieKind = 'session' | 'login';

/** Browsers keep `__Host-` cookies to the host that set them, and take them by TLS alone. */
const cookieName = (request: FastifyRequest, kind: CookieKind): string =>
  isEncrypted(request) ? `__Host-cometmq-${kind}` : `cometmq-${kind}`;

/** Behind what ends TLS in front of us, too: saying so falsely only makes one's own browser drop the cookie. */
function isEncrypted({ headers, protocol }: FastifyRequest): boolean {
  return protocol === 'https' || headers['x-forwarded-proto'] === 'https';
}

export function cookieIn(request: FastifyRequest, kind: CookieKind): string | undefined {
  const name = `${cookieName(request, kind)}=`;
  const pieces = (request.headers.cookie ?? '').split(/; */);
  return pieces.find((piece) => piece.startsWith(name))?.slice(name.length);
}

export function setCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  token: string,
  lifeMs: number,
  kind: CookieKind = 'session',
): void {
  const secure = isEncrypted(request) ? '; Secure' : '';
  const name = cookieName(request, kind);
  const value = `${name}=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${Math.floor(lifeMs / 1000)}`;
  reply.header('set-cookie', value + secure); // Added to those that are set already.
}
