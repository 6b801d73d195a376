import type { Command } from 'commander';
import { MqError } from '@cometmq/shared';

import { apiUrl, hostPort, localContext, type Context } from '../contexts.js';
import type { View } from '../printer.js';
import { examples, type Act } from '../session.js';

interface Named extends Context {
  readonly name: string;
  readonly current: boolean;
}

const view: View<Named> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name, current }) => (current ? `${name} *` : name) },
    { title: 'API', value: ({ api }) => api },
    { title: 'ENDPOINT', value: ({ endpoint }) => endpoint },
    { title: 'TLS', value: ({ tls }) => tls },
    { title: 'USER', value: ({ user }) => user },
    { title: 'CA', wide: true, value: ({ ca }) => ca },
  ],
  // What it logs in with is for the file alone.
  json: ({ secret: _secret, token: _token, ...shown }) => shown,
};

export function contextCommands(comet: Command, act: Act): void {
  const context = comet.command('context').description('Saved clusters, each under a name.');
  examples(
    context,
    'comet context add prod --api https://mq.example.com --endpoint mq.example.com:8081 --tls --use',
    'comet context ls',
    'comet context use local',
  );

  const add = context
    .command('add <name>')
    .description('Save the address of a cluster: --api, --endpoint, --tls, --ca.')
    .option('--use', 'make it the current context')
    .action(
      act((session, name: string, { use }: { use?: boolean }) => {
        const { api = localContext.api, endpoint = localContext.endpoint, tls = false, ca } = session.options;
        const target = { api: apiUrl(api), endpoint: hostPort(endpoint), tls, ...(ca !== undefined && { ca }) };
        session.contexts.put(name, target);
        if (use) session.contexts.use(name);
        session.note(`context "${name}" is saved${use ? ' and current' : ''}`);
      }),
    );
  examples(
    add,
    'comet context add local',
    'comet context add test --api http://10.0.0.5:8082 --endpoint 10.0.0.5:8081',
  );

  const use = context
    .command('use <name>')
    .description('Make a context the current one.')
    .action(
      act((session, name: string) => {
        session.contexts.use(name);
        session.note(`context "${name}" is current`);
      }),
    );
  examples(use, 'comet context use prod');

  const list = context
    .command('ls')
    .description('List all contexts; * marks the current one.')
    .action(
      act(({ contexts, printer }) => {
        const current = contexts.current();
        printer.list(
          view,
          contexts.names().map((name) => ({ name, current: name === current, ...contexts.get(name) })),
        );
      }),
    );
  examples(list, 'comet context ls', 'comet context ls -o name');

  const show = context
    .command('show [name]')
    .description('Show a context; the current one if none is named.')
    .action(
      act(({ contexts, printer, options }, given: string | undefined) => {
        const current = contexts.current();
        const name = given ?? options.context ?? current;
        if (name === undefined)
          throw new MqError('NOT_FOUND', 'no context is current; "comet context use" chooses one');
        printer.one(view, { name, current: name === current, ...contexts.get(name) });
      }),
    );
  examples(show, 'comet context show', 'comet context show prod -o json');

  const remove = context
    .command('rm <name>')
    .description('Remove a saved context. The cluster is not touched.')
    .action(
      act((session, name: string) => {
        session.contexts.remove(name);
        session.note(`context "${name}" is removed`);
      }),
    );
  examples(remove, 'comet context rm old');
}
