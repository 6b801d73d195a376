import { Option, type Command } from 'commander';
import type { PolicyView, UserView } from '@cometmq/admin';
import { counted, MqError } from '@cometmq/shared';

import { exitCode } from '../exit-codes.js';
import { timeText, type View } from '../printer.js';
import { examples, wholeNumber, type Act, type Session } from '../session.js';
import { aclImportCommand } from './acl-import.js';
import { secondFactorCommands } from './second-factor.js';
import { tokenCommands } from './api-token.js';

type NewUser = UserView & { readonly secret?: string };
interface Rights {
  readonly produce?: readonly string[];
  readonly consume?: readonly string[];
  readonly audit?: readonly string[];
}
interface Quota {
  readonly requestsPerSecond?: number;
  readonly bytesPerSecond?: number;
}
interface Decided {
  readonly allowed: boolean;
  readonly why: string;
  readonly policy?: PolicyView;
}

const userPath = (name: string): string => `/users/${encodeURIComponent(name)}`;

const view: View<NewUser> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name }) => name },
    { title: 'KIND', value: ({ kind }) => kind },
    { title: 'ENABLED', value: ({ enabled }) => enabled },
    { title: 'SECOND FACTOR', wide: true, value: ({ secondFactor }) => secondFactor },
    { title: 'POLICIES', value: ({ policies }) => policies.length },
    { title: 'REQUESTS/S', wide: true, value: ({ quota }) => quota?.requestsPerSecond },
    { title: 'BYTES/S', wide: true, value: ({ quota }) => quota?.bytesPerSecond },
    { title: 'KEY', wide: true, value: ({ keyId }) => keyId },
    { title: 'CREATED', wide: true, value: ({ createdMs }) => timeText(createdMs) },
  ],
};
const secretView: View<NewUser> = {
  ...view,
  columns: [
    ...view.columns.slice(0, 3),
    { title: 'ACCESS KEY', value: ({ name }) => name },
    { title: 'SECRET', value: ({ secret }) => secret },
  ],
};
const policyView: View<PolicyView> = {
  name: ({ resource }) => resource,
  columns: [
    { title: 'RESOURCE', value: ({ resource }) => resource },
    { title: 'ACTIONS', value: ({ actions }) => actions.join(',') },
    { title: 'DECISION', value: ({ decision }) => decision },
    { title: 'FROM', value: ({ sourceIps }) => sourceIps.join(',') || 'anywhere' },
    { title: 'POLICY', wide: true, value: ({ policy }) => policy },
  ],
};
const decidedView: View<Decided> = {
  name: ({ allowed }) => (allowed ? 'allowed' : 'denied'),
  columns: [
    { title: 'DECISION', value: ({ allowed }) => (allowed ? 'allowed' : 'denied') },
    { title: 'WHY', value: ({ why }) => why },
    { title: 'RESOURCE', value: ({ policy }) => policy?.resource },
    { title: 'ACTIONS', value: ({ policy }) => policy?.actions.join(',') },
  ],
};

const many = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];
const kind = new Option('--kind <kind>', 'a super user may do everything').choices(['normal', 'super']);
const rights = (command: Command): Command =>
  command
    .addOption(new Option('--produce <topics>', 'may send to a topic, a prefix* or *; repeatable').argParser(many))
    .addOption(new Option('--consume <topics:group>', 'may receive from topics as a group; repeatable').argParser(many))
    .addOption(new Option('--audit <group>', 'may read the audit log as a group; repeatable').argParser(many));
const quota = (command: Command): Command =>
  command
    .option('--requests <per second>', 'limit of requests', wholeNumber(1, 1e9))
    .option('--bytes <per second>', 'limit of bytes', wholeNumber(1, 1e15));

export function userCommands(comet: Command, act: Act): void {
  const user = comet.command('user').description('Users: who may do what.');
  examples(
    user,
    'comet user create shop --produce "orders-*"',
    'comet user create billing --consume "orders-*:billing"',
  );

  const create = quota(rights(user.command('create <name>')))
    .description('Make a user. Its secret is made, and shown once.')
    .addOption(kind)
    .action(
      act(async (session, name: string, options: Rights & QuotaOptions & { kind?: string }) => {
        const draft = { name, ...(options.kind && { kind: options.kind }), ...quotaOf(options), ...rightsOf(options) };
        session.printer.one(secretView, await session.api().make<NewUser>('/users', draft));
      }),
    );
  examples(
    create,
    'comet user create shop --produce "orders-*" --requests 500',
    'comet user create root2 --kind super',
  );

  const list = user
    .command('ls')
    .alias('list')
    .description('List users.')
    .action(act(async (session) => session.printer.list(view, await session.api().list<UserView>('/users', {}))));
  examples(list, 'comet user ls', 'comet user ls -o wide');

  const describe = user
    .command('describe <name>')
    .description('Show a user and its policies.')
    .action(act(async (session, name: string) => show(session, await session.api().get<UserView>(userPath(name)))));
  examples(describe, 'comet user describe shop');

  secondFactorCommands(user, act);
  tokenCommands(user, act);

  const change = (word: string, description: string, body: object, done: string): Command =>
    user
      .command(`${word} <name>`)
      .description(description)
      .action(
        act(async (session, name: string) => {
          const changed = await session.api().call<NewUser>('PATCH', userPath(name), body);
          if (changed.secret !== undefined) session.printer.one(secretView, changed);
          session.note(`user "${name}" ${done}`);
        }),
      );
  examples(
    change('disable', 'Refuse a user everywhere, at once.', { enabled: false }, 'is disabled'),
    'comet user disable shop',
  );
  examples(change('enable', 'Let a user in again.', { enabled: true }, 'is enabled'), 'comet user enable shop');
  examples(
    change('rotate', 'Give a user a new secret. The one before ends at once.', { newSecret: true }, 'has a new secret'),
    'comet user rotate shop',
  );
  examples(
    change('reseal', 'Seal the same secret under the newest key of the key file.', { reseal: true }, 'is sealed anew'),
    'for user in $(comet user ls -o name); do comet user reseal $user; done',
  );

  const limit = quota(user.command('limit <name>'))
    .description('Set what a user may ask for in a second; without options: no limit.')
    .action(
      act(async (session, name: string, options: QuotaOptions) => {
        const changed = await session.api().call<UserView>('PATCH', userPath(name), { quota: {}, ...quotaOf(options) });
        session.printer.one(view, changed);
      }),
    );
  examples(limit, 'comet user limit shop --requests 500 --bytes 1000000', 'comet user limit shop');

  const remove = user
    .command('delete <name>')
    .alias('rm')
    .description('Delete a user with its policies.')
    .action(
      act(async (session, name: string) => {
        await session.confirm(`Delete user "${name}"?`);
        await session.api().call('DELETE', userPath(name));
        session.note(`user "${name}" is deleted`);
      }),
    );
  examples(remove, 'comet user delete shop --yes');

  const acl = comet.command('acl').description('Policies of users, and what they come to.');
  examples(acl, 'comet acl test shop pub Topic:orders-eu', 'comet acl allow shop get,list Topic:orders-*');

  for (const decision of ['allow', 'deny'] as const) {
    const said = acl
      .command(`${decision} <user> <actions> <resource>`)
      .description(`Add a policy that ${decision === 'allow' ? 'allows' : 'denies'} actions on a resource.`)
      .addOption(new Option('--from <addresses>', 'only from an address or a block; repeatable').argParser(many))
      .action(
        act(
          async (session, name: string, actions: string, resource: string, { from }: { from?: readonly string[] }) => {
            const { policies } = await session.api().get<UserView>(userPath(name));
            const policy = { resource, actions: actions.split(','), decision, ...(from && { sourceIps: from }) };
            await setPolicies(session, name, policies, [...policies, policy]);
          },
        ),
      );
    examples(said, `comet acl ${decision} shop pub,get "Topic:orders-*" --from 10.0.0.0/8`);
  }

  const grant = rights(acl.command('grant <user>'))
    .description('Add what a producer or a consumer needs.')
    .action(
      act(async (session, name: string, options: Rights) => {
        const { policies } = await session.api().get<UserView>(userPath(name));
        await setPolicies(session, name, policies, policies, rightsOf(options));
      }),
    );
  examples(grant, 'comet acl grant billing --consume "orders-*:billing"');

  const revoke = acl
    .command('revoke <user> [resource]')
    .description('Take away the policies on a resource as it is written; all of them if none is named.')
    .action(
      act(async (session, name: string, resource: string | undefined) => {
        const { policies } = await session.api().get<UserView>(userPath(name));
        const left = resource === undefined ? [] : policies.filter((policy) => policy.resource !== resource);
        if (left.length === policies.length) {
          throw new MqError('NOT_FOUND', `user "${name}" has no policy on ${resource ?? 'anything'}`);
        }
        await session.confirm(
          `Take ${counted(policies.length - left.length, 'policy', 'policies')} of "${name}" away?`,
        );
        await setPolicies(session, name, policies, left);
      }),
    );
  examples(revoke, 'comet acl revoke shop "Topic:orders-*"');

  aclImportCommand(acl, act);

  for (const word of ['test', 'why'] as const) {
    const about = word === 'test' ? 'Exit with 0 if a user may, with 4 if it may not.' : 'Show which policy decides.';
    const asked = acl
      .command(`${word} <user> <action> <resource>`)
      .description(about)
      .option('--from <address>', 'where it comes from')
      .action(
        act(async (session, name: string, action: string, resource: string, { from }: { from?: string }) => {
          const question = { user: name, action, resource, ...(from !== undefined && { from }) };
          const decided = await session.api().call<Decided>('POST', '/access/test', question);
          session.printer.one(decidedView, decided);
          return word === 'test' && !decided.allowed ? exitCode.refused : exitCode.ok;
        }),
      );
    examples(asked, `comet acl ${word} shop pub Topic:orders-eu --from 10.1.2.3`);
  }
}

interface QuotaOptions {
  readonly requests?: number;
  readonly bytes?: number;
}

function quotaOf({ requests, bytes }: QuotaOptions): { readonly quota?: Quota } {
  if (requests === undefined && bytes === undefined) return {};
  return {
    quota: {
      ...(requests !== undefined && { requestsPerSecond: requests }),
      ...(bytes !== undefined && { bytesPerSecond: bytes }),
    },
  };
}

/** @throws MqError CONFIG */
function rightsOf({ produce, consume, audit }: Rights): object {
  const consumes = consume?.map((text) => {
    const [topics = '', group = '', ...rest] = text.split(':');
    if (topics === '' || group === '' || rest.length > 0) {
      throw new MqError('CONFIG', `--consume ${text}: must be topics:group, like orders-*:billing`);
    }
    return { topics, group };
  });
  return { ...(produce && { produce }), ...(consumes && { consume: consumes }), ...(audit && { audit }) };
}

/** @throws MqError CONFLICT where somebody else has changed them since they were `before` */
async function setPolicies(
  session: Session,
  name: string,
  before: readonly PolicyView[],
  policies: readonly object[],
  more: object = {},
): Promise<void> {
  const body = { before, policies, ...more };
  show(session, await session.api().call<UserView>('PUT', `${userPath(name)}/policies`, body));
}

function show({ printer }: Session, user: UserView): void {
  const { policies } = user;
  printer.one(view, user, {
    title: 'POLICIES',
    empty: policies.length === 0,
    print: () => printer.list(policyView, policies),
  });
}
