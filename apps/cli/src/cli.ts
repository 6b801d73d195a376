import { Command, CommanderError, Option } from 'commander';
import { MqError, version } from '@cometmq/shared';

import { backupCommands } from './commands/backup.js';
import { brokerCommands } from './commands/broker.js';
import { clientCommands } from './commands/client.js';
import { clusterCommands } from './commands/cluster.js';
import { completionCommands } from './commands/completion.js';
import { contextCommands } from './commands/context.js';
import { deadLetterCommands } from './commands/dead-letter.js';
import { delayedCommands } from './commands/delayed.js';
import { groupCommands } from './commands/group.js';
import { undoCommand } from './commands/inspect.js';
import { messageCommands } from './commands/message.js';
import { mqadminCommands } from './commands/mqadmin.js';
import { liteCommands } from './commands/lite.js';
import { loginCommands } from './commands/login.js';
import { topicCommands } from './commands/topic.js';
import { userCommands } from './commands/user.js';
import { auditCommands } from './commands/audit.js';
import { transactionCommands } from './commands/transaction.js';
import { exitCode, exitCodeHelp, exitCodeOf, type ExitCode } from './exit-codes.js';
import { formats, harmless, visible } from './printer.js';
import { durationMs, examples, Session, type Act, type GlobalOptions } from './session.js';
import { setting, type World } from './world.js';

/** Runs one command line (without the program's name) to its exit code. Nothing is thrown, nothing exits. */
export async function runCli(argv: readonly string[], real: World): Promise<ExitCode> {
  // Whatever servers, messages and files say: nothing of it moves the cursor, hides text or rings the bell.
  const world: World = {
    ...real,
    out: (text) => real.out(harmless(text)),
    err: (text) => real.err(harmless(text)),
    ask: (question) => real.ask(harmless(question)),
    askSecret: (question) => real.askSecret(harmless(question)),
  };
  let code: ExitCode = exitCode.ok;
  const act: Act =
    (work) =>
    async (...given) => {
      const command = given.at(-1) as Command;
      const session = new Session(world, command.optsWithGlobals<GlobalOptions>());
      try {
        const run = work as (session: Session, ...args: unknown[]) => ReturnType<typeof work>;
        code = (await run(session, ...given.slice(0, -1))) ?? exitCode.ok;
      } finally {
        session.close();
      }
    };
  try {
    await program(world, act).parseAsync(argv, { from: 'user' });
    return code;
  } catch (caught) {
    if (caught instanceof CommanderError) {
      return caught.exitCode === 0 ? exitCode.ok : exitCode.usage; // Commander has said what was wrong.
    }
    const error = MqError.from(caught);
    world.err(`comet: ${visible(error.reason)}${hint(error)}\n`);
    if (error.code === 'INTERNAL' && error.cause instanceof Error) world.err(`${visible(error.cause.message)}\n`);
    return exitCodeOf(error.code);
  }
}

function program(world: World, act: Act): Command {
  const [output, context, timeout] = (['COMET_OUTPUT', 'COMET_CONTEXT', 'COMET_TIMEOUT'] as const).map((name) =>
    setting(world, name),
  );
  const comet = new Command('comet')
    .description('Topics, consumer groups, messages and the state of a CometMQ cluster.')
    .version(version, '-V, --version', 'print the version')
    .addOption(new Option('--context <name>', 'saved cluster to use (COMET_CONTEXT)').default(context, context))
    .option('--api <url>', 'URL of the REST API (COMET_API)')
    .option('--endpoint <host:port>', 'address of the proxies (COMET_ENDPOINT)')
    .option('--tls', 'use TLS to the proxies')
    .option('--ca <file>', 'certificate authorities to trust, as PEM')
    .addOption(
      new Option('--timeout <duration>', 'limit of one call (COMET_TIMEOUT; 10s)')
        .argParser(durationMs)
        .default(timeout === undefined ? undefined : durationMs(timeout), timeout),
    )
    .addOption(
      new Option('-o, --output <format>', 'format of the output (COMET_OUTPUT)')
        .choices(formats)
        .default(formats.find((format) => format === output) ?? 'table'),
    )
    .option('-y, --yes', 'do not ask for confirmation')
    .option('--no-color', 'print without colours (NO_COLOR)')
    .exitOverride()
    .showHelpAfterError('(see --help)')
    .configureOutput({ writeOut: (text) => world.out(text), writeErr: (text) => world.err(text) })
    .addHelpText('after', exitCodeHelp);
  examples(
    comet,
    'comet topic create orders',
    'comet send orders "one coffee" --tag hot',
    'comet receive orders --group billing',
  );
  contextCommands(comet, act);
  topicCommands(comet, act);
  liteCommands(comet, act);
  groupCommands(comet, act);
  clientCommands(comet, act);
  messageCommands(comet, act);
  deadLetterCommands(comet, act);
  undoCommand(comet, act);
  delayedCommands(comet, act);
  transactionCommands(comet, act);
  auditCommands(comet, act);
  clusterCommands(comet, act);
  brokerCommands(comet, act);
  backupCommands(comet, act);
  loginCommands(comet, act);
  userCommands(comet, act);
  mqadminCommands(comet, act);
  completionCommands(comet, act);
  return comet;
}

function hint({ code, reason }: MqError): string {
  if (reason.includes('comet ')) return ''; // It has been said.
  switch (code) {
    case 'TOPIC_NOT_FOUND':
      return ' (create it with "comet topic create")';
    case 'CONSUMER_GROUP_NOT_FOUND':
      return ' (create it with "comet group create")';
    default:
      return '';
  }
}
