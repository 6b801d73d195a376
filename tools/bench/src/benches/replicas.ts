import { join } from 'node:path';

import { type Bench, type BenchContext, type Figure, best } from '../bench.js';
import type { LoadFigures } from '../load/load.js';
import { ClusterProgram } from '../support/cluster-program.js';

/** One size of a broker set: under load, and asked one thing at a time. */
interface SetFigures {
  readonly loaded: LoadFigures;
  readonly oneByOne: LoadFigures;
}

/**
 * What more copies cost: the same sends to a broker set of one, two and three members on this machine, in plain text, and to
 * one of three with certificates between the processes.
 */
export const replicas: Bench = {
  name: 'replicas',
  about: 'sends of 1 KiB messages to a broker set of one, two and three members, each process of its own',
  async run(context): Promise<readonly Figure[]> {
    const one = await measured(context, 1, ['--plain-text']);
    const two = await measured(context, 2, ['--plain-text']);
    const three = await measured(context, 3, ['--plain-text']);
    const secure = await measured(context, 3, []);
    const ofSet = (what: string, { loaded, oneByOne }: SetFigures, atMost?: number): Figure[] => [
      { what, value: loaded.perSecond, unit: 'messages/s' },
      { what, value: loaded.cpuSecondsPerMillion, unit: 'CPU s/million', ...(atMost !== undefined && { atMost }) },
      { what: `${what}, one send at a time`, value: oneByOne.msMedian, unit: 'ms' },
    ];
    return [
      ...ofSet('one member', one),
      ...ofSet('two members', two),
      ...ofSet('three members', three, 30),
      ...ofSet('three members, TLS', secure),
      { what: 'three members to one', value: three.loaded.perSecond / one.loaded.perSecond, unit: '×', atLeast: 0.5 },
    ];
  },
};

async function measured(context: BenchContext, members: number, flags: readonly string[]): Promise<SetFigures> {
  const secure = !flags.includes('--plain-text');
  const folder = join(context.folder, `members-${members}${secure ? '-tls' : ''}`);
  const cluster = await ClusterProgram.start(folder, members, flags);
  try {
    if (cluster.brokers.length !== members) throw new Error(`there are ${cluster.brokers.length} brokers`);
    const { port, brokers: pid } = cluster;
    const set = `${members} member${members > 1 ? 's' : ''}${secure ? ' with TLS' : ''}`;
    const send = async (what: string, connections: number, inFlight: number, seconds: number): Promise<LoadFigures> => {
      context.say(`sends to ${set}${what}`);
      const job = {
        kind: 'send',
        topic: 'bench',
        bodyBytes: 1_024,
        connections,
        inFlight,
        port,
        pid,
        seconds,
      } as const;
      const figures = await context.load({ ...job, warmUpSeconds: context.quick ? 2 : 5 });
      if (figures.failures > 0) throw new Error(`${figures.failures} sends failed`);
      return figures;
    };
    const rounds: LoadFigures[] = [];
    for (let round = 0; round < context.rounds; round += 1) {
      rounds.push(await send('', 8, 32, context.quick ? 2 : 10));
    }
    return { loaded: best(rounds), oneByOne: await send(', one at a time', 1, 1, context.quick ? 1 : 3) };
  } finally {
    await cluster.stop();
  }
}
