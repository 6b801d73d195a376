import type { ClientMark, ClientView } from '@cometmq/admin';
import { type Command, Option } from 'commander';

import { aboutText, type View } from '../printer.js';
import { examples, wholeNumber, type Act } from '../session.js';

/** By name: the library that has them is a server's, with packages that this program does not bring. */
const clientMarks: Readonly<Record<ClientMark, true>> = { idle: true, refused: true, otherFilter: true };

interface ClientAnswer {
  readonly code: number;
  readonly message: string;
  readonly text?: string;
}

const answerView: View<ClientAnswer> = {
  name: ({ code }) => String(code),
  columns: [
    { title: 'CODE', value: ({ code }) => code },
    { title: 'SAYS', value: ({ text, message }) => text ?? message },
  ],
};

const clientView: View<ClientView> = {
  name: ({ clientId }) => clientId,
  columns: [
    { title: 'CLIENT', value: ({ clientId }) => clientId },
    { title: 'LANGUAGE', value: ({ language }) => language },
    { title: 'VERSION', value: ({ version }) => version },
    { title: 'IDLE', value: ({ idleMs }) => (idleMs === undefined ? undefined : aboutText(idleMs)) },
    { title: 'MARKS', value: ({ marks }) => marks.join(', ') },
    {
      title: 'REFUSED',
      value: ({ refusals }) => refusals.map(({ method, code, count }) => `${count} × ${method}: ${code}`).join('; '),
    },
    {
      ...{ title: 'CONSUMES', wide: true },
      value: ({ groups }) =>
        groups
          .map(({ group, subscriptions }) => {
            return `${group}: ${subscriptions.map(({ topic, expression }) => `${topic} (${expression})`).join(', ')}`;
          })
          .join('; '),
    },
    { title: 'SENDS TO', wide: true, value: ({ producesTo }) => producesTo.join(', ') },
  ],
};

interface ListOptions {
  readonly contains?: string;
  readonly mark?: ClientMark;
  readonly max: number;
}

/** Who is connected, and what one living client can be asked. */
export function clientCommands(comet: Command, act: Act): void {
  const client = comet.command('client').description('Connected clients: list them, or ask one.');
  const path = (id: string, what: string): string => `/clients/${encodeURIComponent(id)}/${what}`;

  const list = client
    .command('ls')
    .alias('list')
    .description('List connected clients, and which of them need a look.')
    .option('--contains <text>', 'part of the client id, any case')
    .addOption(new Option('--mark <mark>', 'only those with this mark').choices(Object.keys(clientMarks)))
    .option('--max <n>', 'list at most this many', wholeNumber(1, 1_000_000), 100)
    .action(
      act(async (session, { contains, mark, max }: ListOptions) => {
        session.printer.list(clientView, await session.api().list<ClientView>('/clients', { contains, mark }, max));
      }),
    );
  examples(list, 'comet client ls', 'comet client ls --mark refused -o wide');

  const stack = client
    .command('stack <id>')
    .description('Show the stack traces of its threads, where its language has them.')
    .action(
      act(async (session, id: string) => {
        session.printer.list(answerView, [await session.api().call<ClientAnswer>('POST', path(id, 'stack-trace'))]);
      }),
    );
  examples(stack, 'comet client stack host@1234@0@abc');

  const reconnect = client
    .command('reconnect <id>')
    .description('Ask it to reconnect; only Java and Node.js clients do.')
    .action(
      act(async (session, id: string) => {
        await session.api().call('POST', path(id, 'reconnect'));
        session.note(`client "${id}" was asked to reconnect`);
      }),
    );
  examples(reconnect, 'comet client reconnect host@1234@0@abc');

  const verify = client
    .command('verify <id>')
    .description('Have a push consumer process one stored message as a test; nothing is acknowledged.')
    .requiredOption('--group <name>', 'its consumer group')
    .requiredOption('--topic <name>', 'the topic of the message')
    .requiredOption('--message <id>', 'the id of the message')
    .action(
      act(async (session, id: string, options: { group: string; topic: string; message: string }) => {
        const { group, topic, message: messageId } = options;
        const body = { group, topic, messageId };
        session.printer.list(answerView, [await session.api().call<ClientAnswer>('POST', path(id, 'verify'), body)]);
      }),
    );
  examples(verify, 'comet client verify host@1234@0@abc --group billing --topic orders --message 01AB…');
}
