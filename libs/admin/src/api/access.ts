/**
 * Who asks, and whether they may. A program says `Authorization: Bearer <token>`, a browser brings its session in a cookie
 * and, with what changes something, the session's CSRF token in a header.
 */
import { anyone, type Principal, type ReadToken, tokenPrefix } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { obey, onlySuper, rules, type Rule } from './access-rules.js';
import type { AdminIdentity } from './context.js';
import { forEver, Standing } from './standing.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; everybody, where there are no users. */
    principal: Principal;
    /** Of a browser that has logged in. */
    session: ReadToken | undefined;
    /** Of ours, a browser's or a program's, that the request brings. */
    login: ReadToken | undefined;
    /** Whether who asks still may, while an answer goes on. */
    standing: Standing;
  }
}

export const sessionLifeMs = 30 * 60_000;
export const sessionLongestMs = 12 * 3_600_000;
/** A session that is used is prolonged so often. */
const prolongMs = 5 * 60_000;
const harmless = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Before anything that may refuse a request: who asks is nobody until it is known. */
export function beginAsAnyone(app: FastifyInstance): void {
  app.decorateRequest('principal');
  app.decorateRequest('session');
  app.decorateRequest('login');
  app.decorateRequest('standing');
  app.addHook('onRequest', async (request) => {
    request.principal = anyone;
    request.session = undefined;
    request.login = undefined;
    request.standing = forEver;
  });
}

export function addAccess(app: FastifyInstance, identity: AdminIdentity | undefined): void {
  app.addHook('onRequest', async (request, reply) => {
    if (!identity) return;
    const rule = ruleOf(request);
    const caller = rule === undefined ? undefined : await callerFor(rule, request, reply, identity);
    if (caller) {
      request.principal = caller.principal();
      if (rule !== undefined) request.standing = standingOf(request, caller, rule, identity);
    } else if (rule !== undefined && rule !== 'open') {
      throw new MqError('UNAUTHORIZED', 'log in: comet login, or POST /api/v1/login for a token');
    }
  });
  // Before what was asked is looked at any closer: who may not, learns nothing of what is right.
  app.addHook('preValidation', async (request) => {
    const rule = ruleOf(request);
    if (identity && rule !== undefined) obey(rule, request, request.principal, identity.clusterName);
  });
  // What has been found meanwhile is not for who may not see it any more. What was changed is told of: it was done.
  app.addHook('preSerialization', async (request, reply) => {
    if (harmless.has(request.method) && reply.statusCode < 300) request.standing.check();
  });
}

/** Who asks, as the request says it. */
interface Caller {
  /** When its token or session ends by itself. */
  readonly untilMs: number;
  /** As it is now. @throws MqError UNAUTHORIZED, when it has ended */
  principal(): Principal;
}

function standingOf(request: FastifyRequest, caller: Caller, rule: Rule, identity: AdminIdentity): Standing {
  const { book, tokens, clock, clusterName } = identity;
  const ordered = request.principal;
  const api = request.login?.api;
  const checkAs = (who: () => Principal): void => {
    if (rule === 'open') return;
    obey(rule, request, who(), clusterName);
  };
  return new Standing({
    recheck: () => checkAs(() => caller.principal()),
    recheckOrder: () => checkAs(() => tokens.renewed(ordered, api)),
    untilMs: caller.untilMs,
    clock,
    onChange: (listener) => {
      const ends = [book.onChange(listener), tokens.onRevoked(listener)];
      return () => ends.forEach((end) => end());
    },
  });
}

/** Undefined: no operation of the API, but a page. */
function ruleOf({ routeOptions }: FastifyRequest): Rule | undefined {
  const { operationId } = (routeOptions.schema ?? {}) as { operationId?: string };
  if (operationId === undefined) return undefined;
  return rules[operationId] ?? onlySuper;
}

/** What is open to everybody is open to who brings a token that has ended, too: to log in anew, for one. */
async function callerFor(rule: Rule, ...asked: Parameters<typeof callerIn>): Promise<Caller | undefined> {
  try {
    return await callerIn(...asked);
  } catch (caught) {
    if (rule === 'open' && MqError.from(caught).code === 'UNAUTHORIZED') return undefined;
    throw caught;
  }
}

/** Undefined: the request says nothing of it. @throws MqError UNAUTHORIZED, FORBIDDEN, UNAVAILABLE */
async function callerIn(
  request: FastifyRequest,
  reply: FastifyReply,
  identity: AdminIdentity,
): Promise<Caller | undefined> {
  const { tokens, oidc, clock } = identity;
  const [, bearer] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (bearer !== undefined) {
    if (!oidc || bearer.startsWith(tokenPrefix)) {
      request.login = tokens.readBearer(bearer);
      return { untilMs: request.login.untilMs, principal: () => tokens.readBearer(bearer).principal };
    }
    const external = await oidc.bearer(bearer);
    const { untilMs, issuedMs, endedBy = [] } = external;
    const { loginMsMax } = oidc.options;
    const principal = (): Principal => {
      if (clock.wallMs() >= untilMs || tokens.areEnded(endedBy, issuedMs + loginMsMax))
        throw new MqError('UNAUTHORIZED', 'the token has ended; log in again');
      return tokens.externalPrincipal(external);
    };
    return { untilMs, principal };
  }
  const cookie = cookieIn(request, 'session');
  if (cookie === undefined) return undefined;
  let session: ReadToken;
  try {
    session = tokens.read('session', cookie);
  } catch (caught) {
    if (MqError.from(caught).code === 'UNAVAILABLE') throw caught;
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
  request.login = session;
  if (session.untilMs - identity.clock.wallMs() < sessionLifeMs - prolongMs) {
    const { token } = tokens.issue('session', session.principal, sessionLifeMs, session);
    setCookie(request, reply, token, sessionLifeMs);
  }
  return { untilMs: session.untilMs, principal: () => tokens.read('session', cookie).principal };
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
