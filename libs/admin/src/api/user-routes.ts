import { CompiledPolicies, newSecret, resealed, resourceIn, Secret, secretText } from '@cometmq/auth';
import { printable, type Action, type User, type UserChange, type UserKind, type UserQuota } from '@cometmq/model';
import { failureFacts, MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import { policyView, userView, type UserView } from '../reports/user-report.js';
import { within } from '../within.js';
import { identityOf, type AdminContext } from './context.js';
import { pageOf, type PageQuery } from './paging.js';
import { entriesOf, type PolicyBody, type Templates } from './user-drafts.js';
import { answers } from './responses.js';
import { nameParams, pageQuery, ref } from './schemas.js';

interface ByName {
  readonly name: string;
}
interface UserDraftBody extends Templates {
  readonly name: string;
  readonly kind?: UserKind;
  readonly secret?: string;
  readonly quota?: UserQuota;
  readonly policies?: readonly PolicyBody[];
}
interface UserChangeBody {
  readonly kind?: UserKind;
  readonly enabled?: boolean;
  readonly secret?: string;
  readonly newSecret?: true;
  readonly reseal?: true;
  readonly quota?: UserQuota;
}
interface PoliciesBody extends Templates {
  readonly policies: readonly PolicyBody[];
  readonly before?: readonly PolicyBody[];
}
interface AccessBody {
  readonly user: string;
  readonly action: Action;
  readonly resource: string;
  readonly from?: string;
}

const shownMsMax = 1_000;

/** Users and what they may do. Changes are made in the metadata and felt by every process within a second. */
export function userRoutes(app: FastifyInstance, context: AdminContext): void {
  const { log, clock, requestMsMax } = context;
  const tags = ['users'];
  const found = (name: string): User => {
    const user = identityOf(context).book.user(name);
    if (!user) throw new MqError('NOT_FOUND', `there is no user "${printable(name)}"`);
    return user;
  };
  const view = (name: string): UserView => userView(found(name), identityOf(context).book.policiesOf(name));
  /** Who reads after writing, by the same process, reads what was written. */
  const shown = (holds: () => boolean): Promise<void> =>
    identityOf(context)
      .book.until(holds, shownMsMax)
      .catch(() => undefined);
  const ask = <T>(asked: Promise<T>): Promise<T> => within(clock, requestMsMax, 'the name service', asked);

  app.get<{ Querystring: PageQuery }>('/users', {
    schema: {
      operationId: 'listUsers',
      tags,
      summary: 'Users in the order of their names, with their policies.',
      querystring: pageQuery,
      response: answers({ status: 200, schema: 'UserPage', description: 'One page.' }, 400, 401),
    },
    handler: async ({ query }) => {
      const { book } = identityOf(context);
      return pageOf(
        [...book.allUsers()].map((user) => userView(user, book.policiesOf(user.name))),
        query,
      );
    },
  });

  app.post<{ Body: UserDraftBody }>('/users', {
    schema: {
      operationId: 'createUser',
      tags,
      summary: 'Makes a user. Where no secret is given one is made, and shown in this answer only.',
      body: ref('UserDraft'),
      response: answers({ status: 201, schema: 'NewUser', description: 'Created.' }, 400, 401, 409),
    },
    handler: async ({ body, ip, principal }, reply) => {
      const { service, book, box } = identityOf(context);
      const { name, kind = 'normal', quota } = body;
      const entries = entriesOf(body);
      const secret = body.secret === undefined ? newSecret() : new Secret(secretText(body.secret));
      await ask(service.createUser({ name, kind, enabled: true, secret: box.seal(secret, name), quota }));
      try {
        if (entries.length > 0) await ask(service.setPolicies({ user: name, entries }));
      } catch (caught) {
        // Half of it would be a user that can do nothing, whose secret nobody was told, and whose name is taken.
        await ask(service.deleteUser(name)).catch((again: unknown) => {
          log.warn({ user: name, ...failureFacts(again) }, 'a user was made without its policies, and stays so');
        });
        throw caught;
      }
      await shown(() => book.user(name) !== undefined && (entries.length === 0 || book.policiesOf(name) !== undefined));
      log.info({ peer: ip, by: principal.name, user: name, kind }, 'user created');
      const given = body.secret === undefined ? { secret: secret.reveal() } : {};
      return reply
        .code(201)
        .header('location', `/api/v1/users/${encodeURIComponent(name)}`)
        .send({ ...view(name), ...given });
    },
  });

  app.get<{ Params: ByName }>('/users/:name', {
    schema: {
      operationId: 'describeUser',
      tags,
      summary: 'A user and its policies.',
      params: nameParams('user'),
      response: answers({ status: 200, schema: 'User', description: 'The user.' }, 401, 404),
    },
    handler: async ({ params }) => view(params.name),
  });

  app.patch<{ Params: ByName; Body: UserChangeBody }>('/users/:name', {
    schema: {
      operationId: 'updateUser',
      tags,
      summary: 'Changes a user. A new secret ends the old one, and all tokens, at once.',
      params: nameParams('user'),
      body: ref('UserChange'),
      response: answers({ status: 200, schema: 'NewUser', description: 'As it is now.' }, 400, 401, 404),
    },
    handler: async ({ params: { name }, body, ip, principal }) => {
      const { service, book, box, secondFactor } = identityOf(context);
      const { kind, enabled, quota } = body;
      if ([body.secret, body.newSecret, body.reseal].filter((one) => one !== undefined).length > 1) {
        throw new MqError('BAD_REQUEST', 'one of secret, newSecret and reseal may be given');
      }
      found(name);
      const secret = secretOf(body);
      const update = (of: string, change: UserChange): Promise<User> => ask(service.updateUser(of, change));
      const changed = body.reseal
        ? await resealed(name, { kind, enabled, quota }, { book, box, secondFactor, update, waitMs: shownMsMax })
        : await update(name, { kind, enabled, quota, secret: secret && box.seal(secret, name) });
      await shown(
        () => book.user(name)?.secret.box === changed.secret.box && book.user(name)?.enabled === changed.enabled,
      );
      const { secret: _secret, ...said } = body;
      log.info({ peer: ip, by: principal.name, user: name, change: said }, 'user changed');
      const given = body.newSecret && secret ? { secret: secret.reveal() } : {};
      return { ...view(name), ...given };
    },
  });

  app.delete<{ Params: ByName }>('/users/:name', {
    schema: {
      operationId: 'deleteUser',
      tags,
      summary: 'Deletes a user with its policies. It is refused everywhere within a second.',
      params: nameParams('user'),
      response: answers({ status: 204, description: 'Deleted.' }, 401, 404, 409),
    },
    handler: async ({ params: { name }, ip, principal }, reply) => {
      const { service, book } = identityOf(context);
      found(name);
      await ask(service.deleteUser(name));
      await shown(() => book.user(name) === undefined);
      log.info({ peer: ip, by: principal.name, user: name }, 'user deleted');
      return reply.code(204).send();
    },
  });

  app.put<{ Params: ByName; Body: PoliciesBody }>('/users/:name/policies', {
    schema: {
      operationId: 'setPolicies',
      tags,
      summary: 'Replaces what a user may do.',
      params: nameParams('user'),
      body: ref('Policies'),
      response: answers({ status: 200, schema: 'User', description: 'As it is now.' }, 400, 401, 404, 409),
    },
    handler: async ({ params: { name }, body, ip, principal }) => {
      const { service, book } = identityOf(context);
      const before = book.policiesOf(name);
      const entries = entriesOf(body);
      const expected = body.before && entriesOf({ policies: body.before });
      await ask(service.setPolicies({ user: name, entries }, expected));
      await shown(() => book.policiesOf(name) !== before);
      log.info({ peer: ip, by: principal.name, user: name, policies: entries.map(policyView) }, 'policies changed');
      return view(name);
    },
  });

  app.post<{ Body: AccessBody }>('/access/test', {
    schema: {
      operationId: 'testAccess',
      tags,
      summary: 'Whether a user may do something, and which policy says so.',
      body: ref('AccessQuestion'),
      response: answers({ status: 200, schema: 'AccessAnswer', description: 'The decision.' }, 400, 401, 404),
    },
    handler: async ({ body }) => {
      const { book } = identityOf(context);
      const user = found(body.user);
      const { type, name, match } = resourceIn(body.resource);
      if (match !== 'literal') throw new MqError('BAD_REQUEST', 'the resource of a question is one: no "*" in it');
      if (!user.enabled) return { allowed: false, why: 'the user is disabled' };
      if (user.kind === 'super') return { allowed: true, why: 'a super user may do everything' };
      const policies = new CompiledPolicies(book.policiesOf(user.name)?.entries ?? []);
      const entry = policies.deciding({ type, name, action: body.action, peer: body.from });
      if (!entry) return { allowed: false, why: 'no policy of the user matches' };
      const why = `this ${entry.policy} policy is the most specific that matches`;
      return { allowed: entry.decision === 'allow', why, policy: policyView(entry) };
    },
  });
}

function secretOf(body: UserChangeBody): Secret | undefined {
  if (body.newSecret) return newSecret();
  return body.secret === undefined ? undefined : new Secret(secretText(body.secret));
}
