import { type Bench, type Figure, best, rounds } from '../bench.js';
import type { LoadFigures } from '../load/load.js';

/** What it costs a send that its caller is known and may do it. */
export const users: Bench = {
  name: 'users',
  about: 'sends of 1 KiB signed by a user of ten policies, beside the same sends where nobody has to say who they are',
  async run(context): Promise<readonly Figure[]> {
    const { quick, load, say } = context;
    const job = {
      kind: 'send',
      topic: 'bench-users',
      bodyBytes: 1_024,
      connections: 8,
      inFlight: 32,
      warmUpSeconds: quick ? 1 : 4,
      seconds: quick ? 1 : 6,
    } as const;
    const open = await context.standalone();
    const closed = await context.standalone(['--users']);
    const user = await closed.makeUser('load', job.topic, 9);
    const without: LoadFigures[] = [];
    // In turn, so that both meet the same neighbours.
    const signed = await rounds(context.rounds, async () => {
      say('nobody');
      without.push(await load({ ...job, port: open.port, pid: open.pid }));
      say('a user');
      return load({ ...job, port: closed.port, pid: closed.pid, user });
    });
    const cost = best(signed).cpuSecondsPerMillion;
    const reference = best(without).cpuSecondsPerMillion;
    return [
      { what: 'sends of nobody', value: reference, unit: 'CPU s/million' },
      { what: 'sends of a user', value: cost, unit: 'CPU s/million' },
      { what: 'authentication and authorization', value: (100 * cost) / reference - 100, unit: '% more', atMost: 3 },
    ];
  },
};
