import { type Bench, type Figure, best, medianOf, rounds } from '../bench.js';
import type { LoadFigures } from '../load/load.js';

const triplesPerRound = 4;

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
    // Two processes that do the same differ, too: by so much nothing can be told from the others.
    const alike = await context.standalone();
    const closed = await context.standalone(['--users']);
    const user = await closed.makeSender('load', job.topic, 9);
    const sends = {
      nobody: { say: 'nobody', job: { ...job, port: open.port, pid: open.pid }, done: [] as LoadFigures[] },
      again: { say: 'nobody, elsewhere', job: { ...job, port: alike.port, pid: alike.pid }, done: [] as LoadFigures[] },
      user: { say: 'a user', job: { ...job, port: closed.port, pid: closed.pid, user }, done: [] as LoadFigures[] },
    };
    const all = Object.values(sends);
    const send = async (one: (typeof all)[number]): Promise<void> => {
      say(one.say);
      one.done.push(await load(one.job));
    };
    // One load each that does not count: the servers' code is compiled by it.
    for (const one of all) await send(one);
    for (const { done } of all) done.pop();
    // Many short rounds, each the other way round than the one before, so that all meet the same neighbours.
    await rounds(quick ? 1 : context.rounds * triplesPerRound, async (round) => {
      for (const one of round % 2 === 0 ? all : [...all].reverse()) await send(one);
    });
    const moreThanNobody = (ones: readonly LoadFigures[]): number =>
      100 *
        medianOf(
          ones.map(
            ({ cpuSecondsPerMillion }, i) => cpuSecondsPerMillion / (sends.nobody.done[i]?.cpuSecondsPerMillion ?? NaN),
          ),
        ) -
      100;
    say('by itself');
    const { nobodyMicros, userMicros, signatureMicros } = await context.inProcess('known-caller', {
      calls: quick ? 20_000 : 200_000,
    });
    const byItself = userMicros - nobodyMicros;
    const perSend = best(sends.nobody.done).cpuSecondsPerMillion;
    return [
      { what: 'sends of nobody', value: perSend, unit: 'CPU s/million' },
      { what: 'sends of a user', value: best(sends.user.done).cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'two servers without users differ by', value: moreThanNobody(sends.again.done), unit: '%' },
      { what: 'a server with users takes', value: moreThanNobody(sends.user.done), unit: '% more' },
      { what: 'a call is read, of nobody', value: nobodyMicros, unit: 'µs' },
      { what: 'a call is read, and its user known and let do it', value: userMicros, unit: 'µs' },
      { what: 'a new signature, which a client makes each second', value: signatureMicros, unit: 'µs' },
      { what: 'authentication and authorization', value: (100 * byItself) / perSend, unit: '% of a send', atMost: 3 },
    ];
  },
};
