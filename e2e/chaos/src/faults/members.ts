/** Members whose data folder is another than it was, and whose clock jumps. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { setClock } from '../clocks.js';
import { bringBack, type Fault, killAll, lasting, type Stage } from './fault.js';

const dayMs = 24 * 3_600_000;

function jump(words: string, jumpMs: (chance: number) => number, role: 'leader' | 'follower'): Fault {
  return {
    words,
    needs: ['faketime'],
    keeps: ['every send', 'the leader'],
    strike: async ({ home, victims, set, chance, note }) => {
      const { leader, followers } = await victims.leader(set);
      const { name } = role === 'leader' ? leader : victims.one(followers);
      const ms = jumpMs(chance());
      setClock(home, name, ms);
      note(`${name} by ${ms / 1_000} s`);
      return lasting(8_000, () => setClock(home, name, 0));
    },
  };
}

async function follower({ victims, set, home }: Stage) {
  const { followers } = await victims.leader(set);
  const victim = victims.one(followers);
  return { victim, folder: join(home, victim.name) };
}

export const memberFaults = {
  'clock-day': jump('the clock of the leader jumps a day ahead, and back after 8 s', () => dayMs, 'leader'),
  'clock-back': jump('the clock of the leader jumps a day back, and ahead after 8 s', () => -dayMs, 'leader'),
  'clock-any': jump(
    'the clock of a follower jumps by a second, a minute or an hour, ahead or back, and back after 8 s',
    (chance) =>
      ([1_000, 60_000, 3_600_000][Math.floor(chance * 3)] ?? 0) *
      (chance * 10 - Math.floor(chance * 10) < 0.5 ? -1 : 1),
    'follower',
  ),
  'lost-folder': {
    words: 'a follower loses its data folder, is given up (comet cluster replace), and starts with an empty one',
    keeps: ['every send', 'the leader'],
    strike: async (stage) => {
      const { victim, folder } = await follower(stage);
      const member = (await stage.victims.memberIds(stage.set)).find((id) => id.startsWith(`${victim.name}/`)) ?? '';
      const atMs = performance.now();
      await killAll([victim]);
      rmSync(folder, { recursive: true });
      const undo = async (): Promise<void> => {
        await stage.servesAgain();
        await stage.clients.rest('POST', `/broker-sets/${stage.set}/replacement`, { member });
        await bringBack([victim]);
      };
      return { atMs, undo };
    },
  },
  'older-folder': {
    words: 'the data folder of a follower is set back to an older copy',
    keeps: ['every send', 'the leader'],
    strike: async (stage) => {
      const { victim, folder } = await follower(stage);
      const atMs = performance.now();
      await killAll([victim]);
      cpSync(folder, `${folder}.old`, { recursive: true });
      await bringBack([victim]);
      await stage.victims.whole(stage.set);
      await stage.more(50);
      await killAll([victim]);
      rmSync(folder, { recursive: true });
      cpSync(`${folder}.old`, folder, { recursive: true });
      rmSync(`${folder}.old`, { recursive: true });
      const undo = async (): Promise<void> => {
        await stage.servesAgain();
        await bringBack([victim]);
      };
      return { atMs, undo };
    },
  },
} satisfies Record<string, Fault>;
