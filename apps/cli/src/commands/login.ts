import type { Command } from 'commander';
import { MqError } from '@cometmq/shared';

import { localContext, type Context } from '../contexts.js';
import { deviceLogin } from '../device-login.js';
import { RestClient } from '../rest-client.js';
import { examples, type Act, type Session } from '../session.js';
import { setting, type World } from '../world.js';

export interface LoginOptions {
  readonly user?: string;
  readonly secretFile?: string;
  readonly oidc?: boolean;
  readonly code?: string;
}

export function loginCommands(comet: Command, act: Act): void {
  const login = comet
    .command('login')
    .description('Log in, and keep the access key and its secret with the context.')
    .option('--user <name>', 'access key (COMET_USER)')
    .option('--secret-file <path>', 'file that holds the secret, or both: "<name> <secret>"')
    .option('--code <code>', 'of the second factor, or a recovery code; asked for where it is needed')
    .option(
      '--oidc',
      'by the identity provider of the cluster, in a browser: for topics, groups and all of the REST API',
    )
    .action(
      act(async (session, options: LoginOptions) => {
        const { world, timeoutMs } = session;
        if (options.oidc) {
          const { user, token, untilMs } = await deviceLogin(session);
          keep(session, user, { token: { value: token, untilMs } });
          return;
        }
        const { user, secret } = await credentials(session, options);
        const rest = new RestClient(world.fetch, world.clock, session.target.api, timeoutMs);
        const given = { user, secret, ...(options.code !== undefined && { code: options.code }) };
        const { token, untilMs } = await withCode(session, given, (body) =>
          rest.call<{ token: string; untilMs: number }>('POST', '/login', body),
        );
        keep(session, user, { user, secret, token: { value: token, untilMs } });
      }),
    );
  examples(login, 'comet login --user admin', 'comet login --secret-file data/identity/admin', 'comet login --oidc');

  const logout = comet
    .command('logout')
    .description('Forget the access key and the secret of the context, and end its token.')
    .action(
      act(async (session) => {
        const { world, contexts, timeoutMs } = session;
        const name = session.options.context ?? contexts.current();
        if (name === undefined) throw new MqError('NOT_FOUND', 'no context is current; nothing is kept');
        const { user: _user, secret: _secret, token, ...rest } = contexts.get(name);
        contexts.put(name, rest);
        if (token && token.untilMs > world.clock.wallMs()) {
          const ended = (): Promise<string> => Promise.resolve(token.value);
          const api = new RestClient(world.fetch, world.clock, rest.api, timeoutMs, ended);
          await api.call('DELETE', '/session').catch((caught: unknown) => {
            session.note(`the token could not be ended, and ends with its time: ${MqError.from(caught).reason}`);
          });
        }
        session.note(`context "${name}" keeps no secret any more`);
      }),
    );
  examples(logout, 'comet logout');
}

interface Given {
  readonly user: string;
  readonly secret: string;
  readonly code?: string;
}

/** Asks for a code of the second factor where the server needs one, and somebody is there to be asked. */
export async function withCode<T>({ world }: Session, given: Given, call: (body: Given) => Promise<T>): Promise<T> {
  try {
    return await call(given);
  } catch (caught) {
    const isMissing = given.code === undefined && MqError.from(caught).reason.includes('has a second factor');
    if (!isMissing || !world.terminal.in) throw caught;
    return call({ ...given, code: (await world.ask('Code: ')).trim() });
  }
}

/** The context has this login and no other from now on, and is the current one. */
function keep(session: Session, who: string, login: Pick<Context, 'user' | 'secret' | 'token'>): void {
  const { contexts } = session;
  const { user: _user, secret: _secret, token: _token, ...target } = session.target;
  const name = session.options.context ?? contexts.current() ?? 'default';
  contexts.put(name, { ...localContext, ...target, ...login });
  contexts.use(name);
  session.note(`logged in as ${who}; context "${name}" keeps it`);
}

export async function credentials(
  { world }: { readonly world: World },
  { user: named, secretFile }: LoginOptions,
): Promise<{ user: string; secret: string }> {
  const user = setting(world, 'COMET_USER') ?? named;
  const secret = setting(world, 'COMET_SECRET');
  if (secretFile !== undefined) {
    const bytes = world.files.read(secretFile);
    if (!bytes) throw new MqError('CONFIG', `--secret-file ${secretFile}: no such file`);
    const words = Buffer.from(bytes).toString('utf8').trim().split(/\s+/);
    const [first = '', second] = words;
    return second === undefined ? { user: required(named ?? user), secret: first } : { user: first, secret: second };
  }
  if (secret !== undefined) return { user: required(named ?? user), secret };
  if (!world.terminal.in) {
    throw new MqError('CONFIG', 'give --secret-file, or COMET_USER and COMET_SECRET, where there is no terminal');
  }
  const name = named ?? user ?? (await world.ask('Access key: ')).trim();
  return { user: required(name), secret: (await world.askSecret('Secret: ')).trim() };
}

function required(user: string | undefined): string {
  if (user !== undefined && user !== '') return user;
  throw new MqError('CONFIG', 'whose secret it is: --user');
}
