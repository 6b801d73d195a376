import type { Command } from 'commander';

import type { View } from '../printer.js';
import { examples, type Act } from '../session.js';

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

/** What one living client can be asked. */
export function clientCommands(comet: Command, act: Act): void {
  const client = comet
    .command('client')
    .description('Ask a connected client; its id is shown by `comet group describe`.');
  const path = (id: string, what: string): string => `/clients/${encodeURIComponent(id)}/${what}`;

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
