import { type Bench, type Figure, best, medianOf, rounds } from '../bench.js';
import type { LoadFigures } from '../load/load.js';

const pairsPerRound = 4;

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
      warmUpSeconds: 1,
      seconds: quick ? 1 : 3,
    } as const;
    const open = await context.standalone();
    const closed = await context.standalone(['--users']);
    const user = await closed.makeSender('load', job.topic, 9);
    const without: LoadFigures[] = [];
    const signed: LoadFigures[] = [];
    const nobodySends = async (): Promise<void> => {
      say('nobody');
      without.push(await load({ ...job, port: open.port, pid: open.pid }));
    };
    const userSends = async (): Promise<void> => {
      say('a user');
      signed.push(await load({ ...job, port: closed.port, pid: closed.pid, user }));
    };
    // One load each that does not count: the servers' code is compiled by it.
    await nobodySends();
    await userSends();
    without.pop();
    signed.pop();
    // Many short pairs, each the other way round than the one before, so that both meet the same neighbours.
    await rounds(quick ? 1 : context.rounds * pairsPerRound, async (round) => {
      const pair = [nobodySends, userSends];
      for (const act of round % 2 === 0 ? pair : pair.reverse()) await act();
    });
    const ratios = signed.map(
      ({ cpuSecondsPerMillion }, i) => cpuSecondsPerMillion / (without[i]?.cpuSecondsPerMillion ?? NaN),
    );
    return [
      { what: 'sends of nobody', value: best(without).cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'sends of a user', value: best(signed).cpuSecondsPerMillion, unit: 'CPU s/million' },
      {
        what: 'authentication and authorization',
        value: 100 * medianOf(ratios) - 100,
        unit: '% more',
        atMost: 3,
      },
    ];
  },
};
