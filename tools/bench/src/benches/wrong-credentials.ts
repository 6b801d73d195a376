import { type Bench, type Figure, medianOf, rounds } from '../bench.js';

const perSecond = 10_000;
const pairsPerRound = 3;
/** As long as the guesses write names, so that one of them is a user's. */
const userName = 'load-of-the-user';

/** What a user notices of somebody who guesses, from the same address. */
export const wrongCredentials: Bench = {
  name: 'wrong-credentials',
  about: 'sends of a user beside 10,000 calls a second with wrong credentials from the same address, and without',
  async run({ quick, rounds: times, standalone, load, inProcess, say }): Promise<readonly Figure[]> {
    const seconds = quick ? 1 : 4;
    const job = {
      kind: 'send',
      topic: 'bench-guesses',
      bodyBytes: 1_024,
      connections: 4,
      inFlight: 1,
      paceMs: 2,
    } as const;
    const server = await standalone(['--users']);
    const user = await server.makeSender(userName, job.topic, 9);
    const send = (warmUpSeconds: number) =>
      load({ ...job, port: server.port, pid: server.pid, user, warmUpSeconds, seconds });
    const guesses = (during: number) => ({
      ...{
        port: server.port,
        topic: job.topic,
        user: user.name,
        connections: 8,
        perSecond,
        waitSeconds: 2,
        seconds: during,
      },
    });
    await send(quick ? 1 : 4); // Does not count: the server's code is compiled by it.
    const ratios: number[] = [];
    const rates: number[] = [];
    let letIn = 0;
    let failures = 0;
    await rounds(quick ? 1 : times * pairsPerRound, async () => {
      say('alone');
      const alone = await send(1);
      say('beside wrong credentials');
      const [beside, found] = await Promise.all([send(3), inProcess('guesses', guesses(seconds + 1))]);
      // Half of them were in the user's name: its new connections from here wait until that is over.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      ratios.push(beside.ms99 / alone.ms99);
      rates.push(found.perSecond);
      letIn += found.let;
      failures += beside.failures;
    });
    return [
      { what: 'wrong credentials', value: medianOf(rates), unit: 'calls/s' },
      { what: 'let in', value: letIn, unit: 'calls', atMost: 0 },
      { what: 'the user’s sends that failed', value: failures, unit: 'sends', atMost: 0 },
      { what: 'the user’s p99 beside them', value: 100 * medianOf(ratios) - 100, unit: '% more', atMost: 20 },
    ];
  },
};
