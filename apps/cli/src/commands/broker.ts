import type { Command } from 'commander';

import { examples, type Act } from '../session.js';

export function brokerCommands(comet: Command, act: Act): void {
  const broker = comet.command('broker').description('Maintenance of broker sets.');
  examples(broker, 'comet broker forget broker-0');

  const forget = broker
    .command('forget <set>')
    .description(
      'Forget the members of a broker set whose disks are lost for good, and with them its messages. The next broker ' +
        'of that name starts with an empty log. Refused while one of the members leads.',
    )
    .action(
      act(async (session, set: string) => {
        await session.confirm(`Forget the members of broker set "${set}" and lose all its messages?`);
        await session.api().call('DELETE', `/broker-sets/${encodeURIComponent(set)}/members`);
        session.note(`broker set "${set}": members forgotten; its next broker starts with an empty log`);
      }),
    );
  examples(forget, 'comet broker forget broker-0', 'comet broker forget broker-0 --yes');
}
