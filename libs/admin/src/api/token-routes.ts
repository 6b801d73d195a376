import { randomBytes } from 'node:crypto';

import { printable, type ApiToken, type User } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import { policyView, type PolicyView } from '../reports/user-report.js';
import { within } from '../within.js';
import { identityOf, type AdminContext } from './context.js';
import { OwnChanges } from './own-changes.js';
import { answers } from './responses.js';
import { nameParams, ref } from './schemas.js';
import { object, text } from './schema-parts.js';
import { entriesOf, type PolicyBody } from './user-drafts.js';

interface ByName {
  readonly name: string;
}
interface DraftBody {
  readonly name: string;
  readonly days?: number;
  readonly policies?: readonly PolicyBody[];
}
export interface ApiTokenView {
  readonly id: string;
  readonly name: string;
  readonly createdMs: number;
  readonly untilMs: number;
  readonly policies?: readonly PolicyView[];
}

const daysUsually = 90;
const dayMs = 24 * 3_600_000;
const shownMsMax = 1_000;

/**
 * Tokens that a user has made for programs: named, good for so long, for less than the user may where that is said. Made by who has
 * logged in, for themselves; a super user may for anybody.
 */
export function tokenRoutes(app: FastifyInstance, context: AdminContext): void {
  const { log, clock, requestMsMax } = context;
  const tags = ['users'];
  const changes = new OwnChanges(clock);
  const found = (name: string): User => {
    const user = identityOf(context).book.user(name);
    if (!user) throw new MqError('NOT_FOUND', `there is no user "${printable(name)}"`);
    return user;
  };
  const ask = <T>(asked: Promise<T>): Promise<T> => within(clock, requestMsMax, 'the name service', asked);

  app.get<{ Params: ByName }>('/users/:name/tokens', {
    schema: {
      operationId: 'listTokens',
      tags,
      summary: 'Tokens of a user that are good: their names, and until when. Their texts are shown to nobody again.',
      params: nameParams('user'),
      response: answers({ status: 200, schema: 'ApiTokens', description: 'The tokens.' }, 401, 403, 404),
    },
    handler: async ({ params }) => {
      const nowMs = clock.wallMs();
      return { items: (found(params.name).tokens ?? []).filter(({ untilMs }) => untilMs > nowMs).map(tokenView) };
    },
  });

  app.post<{ Params: ByName; Body: DraftBody }>('/users/:name/tokens', {
    schema: {
      operationId: 'createToken',
      tags,
      summary:
        'Makes a token for `Authorization: Bearer`. It is shown in this answer only, and ends with the user’s secret.',
      params: nameParams('user'),
      body: ref('ApiTokenDraft'),
      response: answers({ status: 201, schema: 'NewApiToken', description: 'Made.' }, 400, 401, 403, 404, 409, 429),
    },
    handler: async ({ params: { name }, body, ip, principal }, reply) => {
      const { service, book, tokens } = identityOf(context);
      changes.take(principal.name);
      const secretWas = found(name).secret.box; // Who has a session that has ended makes none, by a process that has not heard yet.
      const createdMs = clock.wallMs();
      const token: ApiToken = {
        ...{ id: randomBytes(12).toString('hex'), name: body.name },
        ...{ createdMs, untilMs: createdMs + (body.days ?? daysUsually) * dayMs },
        ...(body.policies && { scope: entriesOf({ policies: body.policies }) }),
      };
      const changed = await ask(service.updateUser(name, { token: { kind: 'added', token }, secretWas }));
      if (!changed.tokens?.some(({ id }) => id === token.id)) {
        throw new MqError('UNAVAILABLE', 'the name service keeps no tokens yet; try again when it is upgraded');
      }
      const isKnown = (): boolean => book.user(name)?.tokens?.some(({ id }) => id === token.id) === true;
      await book.until(isKnown, shownMsMax).catch(() => undefined);
      log.info({ peer: ip, by: principal.name, user: name, token: token.name }, 'a token was made');
      const issued = tokens.issueApi(changed, token);
      return reply.code(201).send({ ...tokenView(token), token: issued });
    },
  });

  app.delete<{ Params: ByName & { readonly id: string } }>('/users/:name/tokens/:id', {
    schema: {
      operationId: 'revokeToken',
      tags,
      summary: 'Ends a token, in every process.',
      params: object({ name: text, id: text }, 'all'),
      response: answers({ status: 204, description: 'It has ended.' }, 401, 403, 404, 429),
    },
    handler: async ({ params: { name, id }, ip, principal }, reply) => {
      changes.take(principal.name);
      const { service, book } = identityOf(context);
      found(name);
      await ask(service.updateUser(name, { token: { kind: 'removed', id } }));
      const isGone = (): boolean => book.user(name)?.tokens?.some((one) => one.id === id) !== true;
      await book.until(isGone, shownMsMax).catch(() => undefined);
      log.info({ peer: ip, by: principal.name, user: name, tokenId: id }, 'a token was ended');
      return reply.code(204).send();
    },
  });
}

function tokenView({ id, name, createdMs, untilMs, scope }: ApiToken): ApiTokenView {
  return { id, name, createdMs, untilMs, ...(scope && { policies: scope.map(policyView) }) };
}
