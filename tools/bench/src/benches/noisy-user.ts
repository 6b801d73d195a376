import { type Bench, type Figure, medianOf, rounds } from '../bench.js';

const pairsPerRound = 3;
const quotaPerSecond = 200;
/** Fifty times its quota. */
const noisePerSecond = 10_000;
const comersPerSecond = 50;

/** What a user notices of another one that does far more than it may. */
export const noisyUser: Bench = {
  name: 'noisy-user',
  about: 'sends of a user beside another who floods beyond its quota with sends, receives and connections, and without',
  async run({ quick, rounds: times, standalone, load, inProcess, say }): Promise<readonly Figure[]> {
    const seconds = quick ? 1 : 4;
    const job = {
      kind: 'send',
      topic: 'bench-quiet',
      bodyBytes: 1_024,
      connections: 4,
      inFlight: 1,
      paceMs: 2,
    } as const;
    const server = await standalone(['--users']);
    const quiet = await server.makeUser('quiet', { produce: [job.topic] });
    const noisy = await server.makeUser('noisy', {
      produce: ['bench-noise'],
      consume: [{ topics: 'bench-noise', group: 'bench-noise' }],
      quota: { requestsPerSecond: quotaPerSecond },
    });
    const send = (warmUpSeconds: number) =>
      load({ ...job, port: server.port, pid: server.pid, user: quiet, warmUpSeconds, seconds });
    const other = await standalone(['--users']);
    const noisyThere = await other.makeUser('noisy', {
      produce: ['bench-noise'],
      consume: [{ topics: 'bench-noise', group: 'bench-noise' }],
      quota: { requestsPerSecond: quotaPerSecond },
    });
    const noise = (during: number, port = server.port, user = noisy) => ({
      ...{ port, topic: 'bench-noise', group: 'bench-noise', user, connections: 8 },
      ...{ perSecond: noisePerSecond, comers: comersPerSecond, waitSeconds: 2, seconds: during },
    });
    await send(quick ? 1 : 4); // Does not count: the server's code is compiled by it.
    const ratios: number[] = [];
    const machine: number[] = [];
    const tried: number[] = [];
    const through: number[] = [];
    const came: number[] = [];
    let failures = 0;
    await rounds(quick ? 1 : times * pairsPerRound, async () => {
      say('alone');
      const alone = await send(1);
      say('beside the noisy user at another server');
      const [elsewhere] = await Promise.all([send(3), inProcess('noise', noise(seconds + 1, other.port, noisyThere))]);
      machine.push(elsewhere.ms99 / alone.ms99);
      say('beside the noisy user');
      const [beside, found] = await Promise.all([send(3), inProcess('noise', noise(seconds + 1))]);
      ratios.push(beside.ms99 / alone.ms99);
      tried.push(found.perSecond);
      through.push(found.throughPerSecond);
      came.push(found.comersPerSecond);
      failures += beside.failures;
    });
    return [
      { what: 'sends and receives of the noisy user', value: medianOf(tried), unit: 'calls/s' },
      // What it had saved up before it began is let through as well.
      { what: 'let through', value: medianOf(through), unit: 'calls/s', atMost: 2 * quotaPerSecond },
      { what: 'connections of the noisy user', value: medianOf(came), unit: 'connections/s' },
      { what: 'the quiet user’s sends that failed', value: failures, unit: 'sends', atMost: 0 },
      {
        what: 'the quiet user’s p99 beside it at another server',
        value: 100 * medianOf(machine) - 100,
        unit: '% more',
      },
      { what: 'the quiet user’s p99 beside it', value: 100 * medianOf(ratios) - 100, unit: '% more', atMost: 20 },
    ];
  },
};
