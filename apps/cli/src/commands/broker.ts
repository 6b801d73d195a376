import type { Command } from 'commander';

import { bytesText, type View } from '../printer.js';
import { examples, type Act } from '../session.js';

interface Damage {
  readonly first: number;
  readonly end: number;
  readonly what: string;
}

interface Damages {
  readonly damages: readonly Damage[];
}

const damageView: View<Damage> = {
  name: ({ first }) => String(first),
  columns: [
    { title: 'FROM', value: ({ first }) => first },
    { title: 'TO', value: ({ end }) => end },
    { title: 'BYTES', value: ({ first, end }) => bytesText(end - first) },
    { title: 'WHAT', value: ({ what }) => what },
  ],
};

function bytesOf(damages: readonly Damage[]): number {
  return damages.reduce((sum, { first, end }) => sum + end - first, 0);
}

const damagePath = (set: string): string => `/broker-sets/${encodeURIComponent(set)}/damage`;

export function brokerCommands(comet: Command, act: Act): void {
  const broker = comet.command('broker').description('Maintenance of broker sets.');
  examples(broker, 'comet broker forget broker-0');

  const damage = broker
    .command('damage <set>')
    .description('Show what is known to be lost of the log of a broker set: where, how much, and what was found.')
    .action(
      act(async (session, set: string) => {
        const { damages } = await session.api().get<Damages>(damagePath(set));
        session.printer.list(damageView, damages);
      }),
    );
  examples(damage, 'comet broker damage broker-0');

  const giveUp = broker
    .command('give-up <set>')
    .description(
      'Give up what is lost of the log of a broker set: consumers pass over the messages that were in it. Until then ' +
        'they are tried again, and the files may be brought back from a copy (see "comet broker damage").',
    )
    .action(
      act(async (session, set: string) => {
        const { damages, seen } = await session.api().get<Damages & { readonly seen?: string }>(damagePath(set));
        if (damages.length === 0) {
          session.note(`broker set "${set}": nothing of its log is known to be lost`);
          return;
        }
        for (const { what, first, end } of damages) session.note(`${what} (log positions ${first} to ${end})`);
        await session.confirm(
          `Give up ${bytesText(bytesOf(damages))} of the log of broker set "${set}", with the messages in them?`,
        );
        // More may have been found while somebody thought about it: the broker compares.
        const only = seen === undefined ? '' : `?seen=${encodeURIComponent(seen)}`;
        const given = await session.api().call<Damages>('DELETE', `${damagePath(set)}${only}`);
        session.note(`broker set "${set}": ${bytesText(bytesOf(given.damages))} of its log are given up`);
      }),
    );
  examples(giveUp, 'comet broker give-up broker-0', 'comet broker give-up broker-0 --yes');

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
