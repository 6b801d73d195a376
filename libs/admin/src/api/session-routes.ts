import { newSecret, type LoginGiven } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import { within } from '../within.js';
import { sessionLifeMs, sessionLongestMs, setCookie } from './access.js';
import { identityOf, type AdminContext } from './context.js';
import { OwnChanges } from './own-changes.js';
import { answers } from './responses.js';
import { ref } from './schemas.js';

interface OwnSecretBody {
  readonly secret: string;
}

/** How long an answer waits for this process to know of the change. */
const shownMsMax = 1_000;
const tokenLifeMs = 12 * 3_600_000;

/** Logging in: with a token for programs, with a session for browsers. */
export function sessionRoutes(app: FastifyInstance, context: AdminContext): void {
  const { identity, log, clock, requestMsMax } = context;
  const tags = ['session'];
  const changes = new OwnChanges(clock);

  app.post<{ Body: LoginGiven }>('/login', {
    schema: {
      operationId: 'login',
      tags,
      summary: 'A token for `Authorization: Bearer`, for a user and its secret.',
      body: ref('Login'),
      response: answers(
        { status: 200, schema: 'Token', description: 'The token, and how long it is good.' },
        400,
        401,
        429,
      ),
    },
    handler: async ({ body, ip }) => {
      const { secondFactor, tokens } = identityOf(context);
      const principal = await secondFactor.login(body, ip);
      log.info({ peer: ip, user: principal.name }, 'a user logged in');
      const { token, untilMs } = tokens.issue('bearer', principal, tokenLifeMs);
      return { token, untilMs };
    },
  });

  app.post<{ Body: LoginGiven }>('/session', {
    schema: {
      operationId: 'beginSession',
      tags,
      summary: 'Logs a browser in: the session is a cookie, and what changes something has to say its CSRF token.',
      body: ref('Login'),
      response: answers({ status: 200, schema: 'Session', description: 'The session.' }, 400, 401, 429),
    },
    handler: async (request, reply) => {
      const { secondFactor, tokens } = identityOf(context);
      const principal = await secondFactor.login(request.body, request.ip);
      log.info({ peer: request.ip, user: principal.name }, 'a user logged in');
      const { token, untilMs, id } = tokens.begin(principal, sessionLifeMs, sessionLongestMs);
      setCookie(request, reply, token, sessionLifeMs);
      const { name: user, isSuper } = principal;
      const csrfToken = tokens.csrfOf(id);
      return {
        login: true,
        user,
        super: isSuper,
        secondFactor: principal.user?.totp !== undefined,
        csrfToken,
        untilMs,
      };
    },
  });

  app.post<{ Body: OwnSecretBody }>('/session/secret', {
    schema: {
      operationId: 'changeOwnSecret',
      tags,
      summary:
        'Who has logged in gets a new secret, and a new session. The old secret ends at once, and all that was begun with it.',
      body: ref('OwnSecret'),
      response: answers(
        { status: 200, schema: 'OwnSecretChanged', description: 'The secret that was made.' },
        400,
        401,
        409,
        429,
      ),
    },
    handler: async (request, reply) => {
      const { authenticator, tokens, service, book, box } = identityOf(context);
      const { name } = request.principal;
      const { user } = authenticator.login(name, request.body.secret, request.ip); // A session left open is not enough.
      changes.take(name);
      const secret = newSecret();
      const sealed = service.updateUser(name, { secret: box.seal(secret, name), secretWas: user?.secret.box });
      const changed = await within(clock, requestMsMax, 'the name service', sealed);
      await book.until(() => book.user(name)?.secret.box === changed.secret.box, shownMsMax).catch(() => undefined);
      log.info({ peer: request.ip, user: name }, 'a user gave itself a new secret');
      const principal = authenticator.login(name, secret.reveal(), request.ip);
      const { token, untilMs, id } = tokens.begin(principal, sessionLifeMs, sessionLongestMs);
      setCookie(request, reply, token, sessionLifeMs);
      return { secret: secret.reveal(), csrfToken: tokens.csrfOf(id), untilMs };
    },
  });

  app.get('/session', {
    schema: {
      operationId: 'describeSession',
      tags,
      summary: 'Who is logged in, and whether anybody has to be.',
      response: answers({ status: 200, schema: 'Session', description: 'The session, as far as there is one.' }),
    },
    handler: async ({ principal, session }) => {
      if (!identity) return { login: false, user: '', super: true };
      const { oidc: provider } = identity;
      const { issuer, deviceClientId } = provider?.options ?? {};
      const oidc = issuer === undefined ? {} : { oidc: { issuer, ...(deviceClientId && { deviceClientId }) } };
      if (principal.name === '') return { login: true, ...oidc };
      const { name: user, isSuper } = principal;
      const browser = session && { csrfToken: identity.tokens.csrfOf(session.id), untilMs: session.untilMs };
      const secondFactor = identity.book.user(user)?.totp !== undefined;
      return { login: true, user, super: isSuper, secondFactor, ...browser, ...oidc };
    },
  });

  app.delete('/session', {
    schema: {
      operationId: 'endSession',
      tags,
      summary: 'Logs out: the session, or the token that comes with the request, ends at once, in every process.',
      response: answers({ status: 204, description: 'It has ended.' }, 400, 429),
    },
    handler: async (request, reply) => {
      const { login, principal } = request;
      if (identity && !login && principal.name !== '') {
        throw new MqError('BAD_REQUEST', 'the token is the identity provider’s, and ends there');
      }
      setCookie(request, reply, '', 0);
      if (login?.api) throw new MqError('BAD_REQUEST', 'a token is ended with its id: comet user token revoke');
      if (identity && login) await within(clock, requestMsMax, 'the name service', identity.tokens.revoke(login));
      return reply.code(204).send();
    },
  });
}
