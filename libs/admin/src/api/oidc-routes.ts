import { RecentKeys, Secret } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { LoginChecks, OidcProvider } from '../oidc/oidc-provider.js';
import { cookieIn, sessionLifeMs, setCookie } from './access.js';
import { type AdminContext, type AdminIdentity, identityOf } from './context.js';
import { answers, redirects } from './responses.js';
import { ref } from './schemas.js';

/** How long somebody may take to log in at the provider. */
const loginMsMax = 10 * 60_000;
const cookieOwner = 'a login by the identity provider';
const returnToLengthMax = 512;

/** What the browser keeps of a login, sealed, while it is at the provider. */
interface Begun extends LoginChecks {
  readonly returnTo: string;
  readonly untilMs: number;
}

/** Logging in by the team's identity provider: the code flow for browsers, its tokens for programs. */
export function oidcRoutes(app: FastifyInstance, context: AdminContext): void {
  logoutRoute(app, context);
  const tags = ['session'];

  app.get<{ Querystring: { returnTo?: string } }>('/session/oidc', {
    schema: {
      operationId: 'beginOidcLogin',
      tags,
      summary: 'Sends a browser to the identity provider, to come back logged in.',
      querystring: {
        type: 'object',
        additionalProperties: false,
        properties: {
          returnTo: { type: 'string', maxLength: returnToLengthMax, description: 'The page to show then, as /topics.' },
        },
      },
      response: redirects('To the identity provider.', 400, 404),
    },
    handler: async (request, reply) => {
      const { identity, oidc } = providerOf(context);
      try {
        const { url, checks } = await oidc.begin();
        const untilMs = identity.clock.wallMs() + loginMsMax;
        const begun: Begun = { ...checks, returnTo: ownPage(request.query.returnTo), untilMs };
        setCookie(request, reply, sealed(identity, begun), loginMsMax, 'login');
        return await reply.redirect(url);
      } catch (caught) {
        return failed(context, request, reply, MqError.from(caught));
      }
    },
  });

  // What a provider adds to the query is its own affair, and is looked at by the protocol's library.
  app.get('/session/oidc/callback', {
    schema: {
      operationId: 'finishOidcLogin',
      tags,
      summary: 'Where the identity provider sends the browser back to: the session begins.',
      response: redirects('To the console.', 401, 403, 404, 429),
    },
    handler: async (request, reply) => {
      const { identity, oidc } = providerOf(context);
      const { tokens } = identity;
      setCookie(request, reply, '', 0, 'login'); // Each login is finished once.
      try {
        const begun = opened(identity, cookieIn(request, 'login'));
        const at = request.url.indexOf('?');
        const identified = await oidc.finish(at < 0 ? '' : request.url.slice(at), begun);
        const principal = tokens.externalPrincipal(identified);
        const lifeMs = Math.min(sessionLifeMs, oidc.options.loginMsMax);
        setCookie(
          request,
          reply,
          tokens.begin(principal, lifeMs, oidc.options.loginMsMax, identified.endedBy).token,
          lifeMs,
        );
        noteLogin(context, request, principal.name, principal.roles);
        return await reply.redirect(begun.returnTo);
      } catch (caught) {
        return failed(context, request, reply, MqError.from(caught));
      }
    },
  });

  app.post<{ Body: { idToken: string } }>('/login/oidc', {
    schema: {
      operationId: 'loginOidc',
      tags,
      summary: 'A token for `Authorization: Bearer`, for a token of the identity provider.',
      body: ref('OidcLogin'),
      response: answers(
        { status: 200, schema: 'Token', description: 'The token, and how long it is good.' },
        ...[400, 401, 403, 404],
      ),
    },
    handler: async (request) => {
      const { identity, oidc } = providerOf(context);
      const { tokens, clock } = identity;
      const identified = await oidc.bearer(request.body.idToken);
      const { endedBy = [], issuedMs } = identified;
      const { loginMsMax } = oidc.options;
      if (tokens.areEnded(endedBy, issuedMs + loginMsMax)) {
        throw new MqError('UNAUTHORIZED', 'the token has ended; log in again');
      }
      const principal = tokens.externalPrincipal(identified);
      // Ended by what would have ended the token that it is given for.
      const endMs = Math.min(clock.wallMs(), issuedMs === 0 ? Infinity : issuedMs) + loginMsMax;
      const { token, untilMs } = tokens.issue('bearer', principal, loginMsMax, { endMs, endedBy });
      noteLogin(context, request, principal.name, principal.roles);
      return { token, untilMs };
    },
  });
}

/** So many logouts are known again when they are told of a second time, by this process. */
const logoutsKept = 10_000;

/** The provider's own door: it says that somebody has logged out there, which ends what was begun here by that login. */
function logoutRoute(app: FastifyInstance, context: AdminContext): void {
  const told = new RecentKeys(logoutsKept);
  void app.register(async (inner) => {
    const form = 'application/x-www-form-urlencoded';
    inner.addContentTypeParser(form, { parseAs: 'string', bodyLimit: 32_768 }, (_request, body, done) => {
      done(null, Object.fromEntries(new URLSearchParams(String(body))));
    });
    inner.post<{ Body: { readonly logout_token: string } }>('/session/oidc/logout', {
      schema: {
        operationId: 'endOidcSessions',
        tags: ['session'],
        summary:
          'Back-channel logout: the identity provider says who has logged out there. Its logins here end, in every process.',
        consumes: [form],
        body: ref('OidcLogout'),
        response: answers({ status: 200, description: 'They have ended.' }, 400, 404, 429),
      },
      handler: async ({ body, ip }, reply) => {
        const { identity, oidc } = providerOf(context);
        const ended = await oidc.logout(body.logout_token).catch((caught: unknown) => {
          const error = MqError.from(caught);
          // Whoever sent it is no caller that could log in.
          throw error.code === 'UNAUTHORIZED' ? new MqError('BAD_REQUEST', error.reason) : error;
        });
        if (told.has(ended.jti)) throw new MqError('BAD_REQUEST', 'the logout token was used before');
        for (const one of ended.ids) await identity.tokens.revoke({ id: one, endMs: ended.untilMs });
        told.add(ended.jti);
        context.log.info({ peer: ip }, 'the identity provider has ended logins');
        return reply.code(200).send();
      },
    });
  });
}

/** @throws MqError UNSUPPORTED */
function providerOf(context: AdminContext): { readonly identity: AdminIdentity; readonly oidc: OidcProvider } {
  const identity = identityOf(context);
  const { oidc } = identity;
  if (!oidc) throw new MqError('UNSUPPORTED', 'there is no identity provider here; oidcIssuer names one');
  return { identity, oidc };
}

function noteLogin(
  { log, audit }: AdminContext,
  { ip, id, routeOptions }: FastifyRequest,
  user: string,
  roles: readonly string[] | undefined,
): void {
  log.info({ peer: ip, user, roles }, 'somebody logged in by the identity provider');
  const { operationId: operation = '' } = (routeOptions.schema ?? {}) as { operationId?: string };
  void audit?.record({ requestId: id, user, how: 'oidc', from: ip, operation, after: { roles }, decision: 'done' });
}

/** A browser is shown the console's login with why it failed; a program, the problem. */
function failed(
  { log, audit }: AdminContext,
  request: FastifyRequest,
  reply: FastifyReply,
  error: MqError,
): FastifyReply {
  const { ip: from, id: requestId, routeOptions } = request;
  const { operationId: operation = '' } = (routeOptions.schema ?? {}) as { operationId?: string };
  log.warn({ peer: from, reason: error.reason, err: error.cause }, 'a login by the identity provider failed');
  if (request.headers.accept?.includes('text/html') !== true) throw error; // Recorded where refusals are.
  const decision = error.code === 'UNAUTHORIZED' || error.code === 'FORBIDDEN' ? 'refused' : 'failed';
  void audit?.record({ requestId, how: 'oidc', from, operation, decision, reason: error.reason });
  return reply.redirect(`/?${new URLSearchParams({ loginFailed: error.code }).toString()}`);
}

function sealed({ box }: AdminIdentity, begun: Begun): string {
  const { keyId, box: text } = box.seal(new Secret(JSON.stringify(begun)), cookieOwner);
  return `${keyId}.${text}`;
}

/** @throws MqError UNAUTHORIZED */
function opened({ box, clock }: AdminIdentity, cookie: string | undefined): Begun {
  const at = cookie?.lastIndexOf('.') ?? -1;
  try {
    const sealedText = { keyId: cookie?.slice(0, at) ?? '', box: cookie?.slice(at + 1) ?? '' };
    const begun = JSON.parse(box.open(sealedText, cookieOwner).reveal()) as Begun;
    if (begun.untilMs > clock.wallMs()) return begun;
  } catch {
    // Said below.
  }
  throw new MqError('UNAUTHORIZED', 'no login was begun by this browser in the last ten minutes; begin again');
}

/** A page of the console, and of nobody else. */
function ownPage(said: string | undefined): string {
  return said !== undefined && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(said) ? said : '/';
}
