import { type Bench, type Figure, rounds } from '../bench.js';
import { fiveTerms } from '../roles/sql-filters.js';

/** SQL expressions: what one costs, and what a search for a rare match costs those who do not search. */
export const sqlFilters: Bench = {
  name: 'sql-filters',
  about: 'SQL filters of 5 terms: evaluations, and long polls beside two groups that search a backlog in vain',
  async run(context): Promise<readonly Figure[]> {
    const { quick, inProcess } = context;
    const found = await rounds(context.rounds, () =>
      inProcess('sql-filters', { evaluations: quick ? 200_000 : 5_000_000, bodyBytes: 1_024 }),
    );
    const { port, pid } = await context.standalone();
    const messages = quick ? 20_000 : 1_000_000;
    const target = { port, pid, connections: 4, inFlight: 256 };
    await context.load({ ...target, kind: 'fill', topic: 'bench-haystack', bodyBytes: 200, messages });
    const poll = { kind: 'long-poll', port, group: 'bench', messages: quick ? 50 : 500, everyMs: 20 } as const;
    const alone: number[] = [];
    const beside: number[] = [];
    // In turns, so that both meet the same machine.
    for (let round = 0; round < context.rounds; round += 1) {
      alone.push((await context.load({ ...poll, topic: `bench-alone-${round}` })).ms99);
      const search = { topic: 'bench-haystack', groups: [`search-a-${round}`, `search-b-${round}`], sql: fiveTerms };
      beside.push((await context.load({ ...poll, topic: `bench-beside-${round}`, search })).ms99);
    }
    return [
      { what: 'evaluations', value: Math.max(...found.map((r) => r.perCpuSecond)), unit: '/CPU s', atLeast: 500_000 },
      { what: 'of them match', value: found[0]?.matchPercent ?? 0, unit: '%' },
      { what: 'another group alone, send to receive, p99', value: Math.min(...alone), unit: 'ms' },
      { what: 'beside two searches, send to receive, p99', value: Math.min(...beside), unit: 'ms' },
      {
        what: 'p99 beside searches',
        value: (100 * Math.min(...beside)) / Math.min(...alone) - 100,
        unit: '% more',
        atMost: 20,
      },
    ];
  },
};
