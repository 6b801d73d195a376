import { join } from 'node:path';

import { type Bench, type Figure, best } from '../bench.js';
import type { LoadFigures } from '../load/load.js';
import { ClusterProgram } from '../support/cluster-program.js';

/** What more copies cost: the same sends to a broker set of one, two and three members on this machine. */
export const replicas: Bench = {
  name: 'replicas',
  about: 'sends of 1 KiB messages to a broker set of one, two and three members, each process of its own',
  async run(context): Promise<readonly Figure[]> {
    const found: LoadFigures[] = [];
    for (const members of [1, 2, 3]) {
      const cluster = await ClusterProgram.start(join(context.folder, `members-${members}`), members);
      try {
        if (cluster.brokers.length !== members) throw new Error(`there are ${cluster.brokers.length} brokers`);
        const { port, brokers: pid } = cluster;
        const send = { kind: 'send', topic: 'bench', bodyBytes: 1_024, connections: 8, inFlight: 32 } as const;
        const seconds = context.quick ? 2 : 10;
        const rounds: LoadFigures[] = [];
        for (let round = 0; round < context.rounds; round += 1) {
          context.say(`sends to ${members} member${members > 1 ? 's' : ''}`);
          const job = { ...send, port, pid, warmUpSeconds: context.quick ? 2 : 5, seconds };
          const figures = await context.load(job);
          if (figures.failures > 0) throw new Error(`${figures.failures} sends failed`);
          rounds.push(figures);
        }
        found.push(best(rounds));
      } finally {
        await cluster.stop();
      }
    }
    const [one, two, three] = found as [LoadFigures, LoadFigures, LoadFigures];
    return [
      { what: 'one member', value: one.perSecond, unit: 'messages/s' },
      { what: 'one member', value: one.cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'two members', value: two.perSecond, unit: 'messages/s' },
      { what: 'two members', value: two.cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'three members', value: three.perSecond, unit: 'messages/s' },
      { what: 'three members', value: three.cpuSecondsPerMillion, unit: 'CPU s/million', atMost: 30 },
      { what: 'three members to one', value: three.perSecond / one.perSecond, unit: '×', atLeast: 0.5 },
    ];
  },
};
