import type { LoginGiven } from '@cometmq/auth';
import { printable } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import { within } from '../within.js';
import { identityOf, type AdminContext } from './context.js';
import { answers } from './responses.js';
import { nameParams, ref } from './schemas.js';

type FinishBody = LoginGiven & { readonly code: string; readonly setupToken: string };

/** What apps call the cluster. */
const issuer = 'CometMQ';
const shownMsMax = 1_000;

/**
 * The second factor of who logs in with a secret. Each request says the secret itself, so that who has to have a second factor, and
 * has none, can set one up before a login; and a session left open is not enough.
 */
export function secondFactorRoutes(app: FastifyInstance, context: AdminContext): void {
  const { log } = context;
  const tags = ['session'];

  app.post<{ Body: LoginGiven }>('/session/second-factor', {
    schema: {
      operationId: 'beginSecondFactor',
      tags,
      summary: 'A key for an app that makes codes by the time. Nothing is changed before a first code is brought back.',
      body: ref('Login'),
      response: answers(
        { status: 200, schema: 'SecondFactorBegun', description: 'The key, shown once.' },
        400,
        401,
        429,
      ),
    },
    handler: async ({ body, ip }) => {
      const { key, uri, pending } = await identityOf(context).secondFactor.begin(body, issuer, ip);
      return { secretKey: key, secretUri: uri, setupToken: pending };
    },
  });

  app.put<{ Body: FinishBody }>('/session/second-factor', {
    schema: {
      operationId: 'finishSecondFactor',
      tags,
      summary:
        'Sets it up, or another one in its place, by a first code of the app: from then on each login needs a code.',
      body: ref('SecondFactorFirst'),
      response: answers(
        { status: 200, schema: 'SecondFactorSet', description: 'Codes for when the app is lost, shown once.' },
        ...[400, 401, 409, 429],
      ),
    },
    handler: async ({ body, ip }) => {
      const { secondFactor, book } = identityOf(context);
      const recoveryCodes = await secondFactor.finish(body, body.setupToken, ip);
      await book.until(() => book.user(body.user)?.totp !== undefined, shownMsMax).catch(() => undefined);
      log.info({ peer: ip, user: body.user }, 'a user set up a second factor');
      return { recoveryCodes };
    },
  });

  app.post<{ Body: LoginGiven }>('/session/second-factor/end', {
    schema: {
      operationId: 'endSecondFactor',
      tags,
      summary: 'The secret alone is enough to log in again.',
      body: ref('Login'),
      response: answers({ status: 204, description: 'There is none any more.' }, 400, 401, 403, 429),
    },
    handler: async ({ body, ip }, reply) => {
      const { secondFactor, book } = identityOf(context);
      await secondFactor.end(body, ip);
      await book.until(() => book.user(body.user)?.totp === undefined, shownMsMax).catch(() => undefined);
      log.info({ peer: ip, user: body.user }, 'a user ended its second factor');
      return reply.code(204).send();
    },
  });

  app.delete<{ Params: { readonly name: string } }>('/users/:name/second-factor', {
    schema: {
      operationId: 'resetSecondFactor',
      tags: ['users'],
      summary: 'Takes a user’s second factor away, for one who has lost the app and the recovery codes.',
      params: nameParams('user'),
      response: answers({ status: 204, description: 'There is none any more.' }, 401, 404),
    },
    handler: async ({ params: { name }, ip, principal }, reply) => {
      const { service, book } = identityOf(context);
      if (!book.user(name)) throw new MqError('NOT_FOUND', `there is no user "${printable(name)}"`);
      const asked = service.updateUser(name, { secondFactor: { kind: 'none' } });
      await within(context.clock, context.requestMsMax, 'the name service', asked);
      await book.until(() => book.user(name)?.totp === undefined, shownMsMax).catch(() => undefined);
      log.info({ peer: ip, by: principal.name, user: name }, 'the second factor of a user was taken away');
      return reply.code(204).send();
    },
  });
}
