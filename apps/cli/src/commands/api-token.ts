import { Option, type Command } from 'commander';
import type { ApiTokenView, PolicyView } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { timeText, type View } from '../printer.js';
import { examples, wholeNumber, type Act, type Session } from '../session.js';

type NewToken = ApiTokenView & { readonly token: string };
type Allowed = Pick<PolicyView, 'resource' | 'actions'>;

const scopeText = ({ policies }: ApiTokenView): string =>
  policies?.map(({ resource, actions }) => `${resource}=${actions.join(',')}`).join(' ') ?? 'all that its user may';
const view: View<ApiTokenView> = {
  name: ({ id }) => id,
  columns: [
    { title: 'ID', value: ({ id }) => id },
    { title: 'NAME', value: ({ name }) => name },
    { title: 'CREATED', value: ({ createdMs }) => timeText(createdMs) },
    { title: 'UNTIL', value: ({ untilMs }) => timeText(untilMs) },
    { title: 'MAY', value: scopeText },
  ],
};
const madeView: View<NewToken> = {
  name: ({ token }) => token,
  columns: [...view.columns, { title: 'TOKEN', value: ({ token }) => token }],
};
const path = (user: string): string => `/users/${encodeURIComponent(user)}/tokens`;

/** `Topic:orders-*=get,list`. @throws MqError CONFIG */
function allowed(text: string, before: readonly Allowed[] = []): readonly Allowed[] {
  const [resource = '', actions = '', ...rest] = text.split('=');
  if (resource === '' || actions === '' || rest.length > 0) {
    throw new MqError('CONFIG', `--allow ${text}: must be <resource>=<actions>, like Topic:orders-*=get,list`);
  }
  return [...before, { resource, actions: actions.split(',') as PolicyView['actions'] }];
}

/** Tokens for programs that use the REST API. */
export function tokenCommands(user: Command, act: Act): void {
  const token = user.command('token').description('Tokens for programs that use the REST API (COMET_TOKEN).');
  const create = token
    .command('create <user> <name>')
    .description(
      'Make a token, which is shown once. It is good for so long, and ends before that with the secret of its user.',
    )
    .option('--days <days>', 'how long it is good', wholeNumber(1, 366), 90)
    .addOption(
      new Option('--allow <resource=actions>', 'what it may do at most, of what its user may; repeatable').argParser(
        allowed,
      ),
    )
    .option('--read-only', 'short for --allow "*=get,list"')
    .action(
      act(async (session, name: string, title: string, options: CreateOptions) => {
        const readOnly = options.readOnly ? [{ resource: '*', actions: ['get', 'list'] }] : [];
        const policies = [...(options.allow ?? []), ...readOnly];
        const draft = { name: title, days: options.days, ...(policies.length > 0 && { policies }) };
        session.printer.one(madeView, await session.api().call<NewToken>('POST', path(name), draft));
      }),
    );
  examples(
    create,
    'comet user token create shop ci --days 30',
    'comet user token create ada grafana --read-only',
    'comet user token create ada deploy --allow "Topic:orders-*=get,create,update"',
  );

  const list = token
    .command('ls <user>')
    .alias('list')
    .description('List the tokens of a user.')
    .action(
      act(async (session, name: string) => {
        const { items } = await session.api().get<{ readonly items: readonly ApiTokenView[] }>(path(name));
        session.printer.list(view, items);
      }),
    );
  examples(list, 'comet user token ls shop');

  const revoke = token
    .command('revoke <user> <token>')
    .description('End a token, everywhere: by its id, or by its name.')
    .action(
      act(async (session, name: string, given: string) => {
        const id = await idOf(session, name, given);
        await session.api().call('DELETE', `${path(name)}/${encodeURIComponent(id)}`);
        session.note(`the token has ended`);
      }),
    );
  examples(revoke, 'comet user token revoke shop ci', 'comet user token revoke shop 5f0c1d2e3a4b5c6d7e8f9a0b');
}

/** No two of a user have one name. What is neither a name nor an id is for the server to tell of. */
async function idOf(session: Session, user: string, given: string): Promise<string> {
  const { items } = await session.api().get<{ readonly items: readonly ApiTokenView[] }>(path(user));
  const isId = items.some(({ id }) => id === given);
  return (isId ? undefined : items.find(({ name }) => name === given)?.id) ?? given;
}

interface CreateOptions {
  readonly days: number;
  readonly allow?: readonly Allowed[];
  readonly readOnly?: true;
}
