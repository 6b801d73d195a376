import type { Command } from 'commander';

import type { View } from '../printer.js';
import { RestClient } from '../rest-client.js';
import { examples, type Act } from '../session.js';
import { credentials, withCode, type LoginOptions } from './login.js';

interface Begun {
  readonly secretKey: string;
  readonly secretUri: string;
  readonly setupToken: string;
}

const codeView: View<string> = { name: (code) => code, columns: [{ title: 'RECOVERY CODE', value: (code) => code }] };
const path = '/session/second-factor';

/** The second factor of logins: set up and ended by its user, taken away by a super user. */
export function secondFactorCommands(user: Command, act: Act): void {
  const totp = user
    .command('totp')
    .description(
      'Set up a second factor for your logins, or another app in its place: it is asked for besides the secret.',
    )
    .option('--user <name>', 'access key (COMET_USER)')
    .option('--secret-file <path>', 'file that holds the secret, or both: "<name> <secret>"')
    .option('--code <code>', 'of the second factor there is, or a recovery code; asked for where it is needed')
    .option('--off', 'end it: the secret alone is enough again')
    .action(
      act(async (session, options: LoginOptions & { off?: boolean }) => {
        const { world, target, timeoutMs, printer } = session;
        const given = { ...(await credentials(session, options)), ...(options.code && { code: options.code }) };
        const rest = new RestClient(world.fetch, world.clock, target.api, timeoutMs);
        if (options.off) {
          await withCode(session, given, (body) => rest.call('POST', `${path}/end`, body));
          session.note('the secret alone is enough to log in');
          return;
        }
        const begun = await withCode(session, given, (body) => rest.call<Begun>('POST', path, body));
        session.note(`Add this key to an authenticator app:\n  ${begun.secretKey}\n  ${begun.secretUri}`);
        const code = (await world.ask('Code of the app: ')).trim();
        const { user: name, secret } = given;
        const body = { user: name, secret, code, setupToken: begun.setupToken };
        const { recoveryCodes } = await rest.call<{ recoveryCodes: readonly string[] }>('PUT', path, body);
        session.note('From now on logins need a code. Keep these elsewhere: each logs in once where the app is lost.');
        printer.list(codeView, recoveryCodes);
      }),
    );
  examples(totp, 'comet user totp', 'comet user totp --user ada --off');

  const reset = user
    .command('reset-totp <name>')
    .description('Take the second factor of a user away, who has lost the app and the recovery codes.')
    .action(
      act(async (session, name: string) => {
        await session.confirm(`Take the second factor of "${name}" away? Its secret alone is enough to log in then.`);
        await session.api().call('DELETE', `/users/${encodeURIComponent(name)}/second-factor`);
        session.note(`user "${name}" has no second factor any more`);
      }),
    );
  examples(reset, 'comet user reset-totp ada');
}
