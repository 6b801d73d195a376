import type { Command } from 'commander';

import { examples, type Act } from '../session.js';

export function brokerCommands(comet: Command, act: Act): void {
  const broker = comet.command('broker').description('What is done to broker sets by hand.');
  examples(broker, 'comet broker forget broker-0');

  const forget = broker
    .command('forget <set>')
    .description(
      'Give up a broker set’s members whose disks are lost for good, and its messages with them. The next broker of ' +
        'that name begins with an empty log. Refused while one of them leads.',
    )
    .action(
      act(async (session, set: string) => {
        await session.confirm(`Give up all messages of broker set "${set}"?`);
        await session.api().call('DELETE', `/broker-sets/${encodeURIComponent(set)}/members`);
        session.note(`broker set "${set}" is free to begin anew`);
      }),
    );
  examples(forget, 'comet broker forget broker-0', 'comet broker forget broker-0 --yes');
}
