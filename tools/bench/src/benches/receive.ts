import { type Bench, type BenchContext, type Figure, best } from '../bench.js';
import type { LoadFigures } from '../load/load.js';

const connections = 8;

/** A backlog is made, then drained with receive and acknowledgement, in batches and one by one. */
export const receive: Bench = {
  name: 'receive',
  about: 'send, then receive and acknowledge a backlog of 1 KiB messages, one by one and in batches of 32',
  async run(context): Promise<readonly Figure[]> {
    const sends: LoadFigures[] = [];
    const single: LoadFigures[] = [];
    const batches: LoadFigures[] = [];
    const server = await context.standalone();
    const { port, pid } = server;
    const round = async (index: number, max: number, messages: number): Promise<LoadFigures> => {
      const topic = `bench-receive-${max}-${index}`;
      context.say(`${messages} sends`);
      const fill = { kind: 'fill', topic, bodyBytes: 1_024, messages, connections, inFlight: 32 } as const;
      sends.push(await context.load({ port, pid, ...fill }));
      context.say(`receive and acknowledge, ${max} at a time`);
      const drain = {
        kind: 'drain',
        topic,
        group: 'bench',
        messages,
        max,
        connections,
        inFlight: max === 1 ? 32 : 4,
      } as const;
      return complete(context, await context.load({ port, pid, ...drain }), messages);
    };
    for (let index = 0; index < context.rounds; index += 1) {
      batches.push(await round(index, 32, context.quick ? 20_000 : 150_000));
      single.push(await round(index, 1, context.quick ? 5_000 : 50_000));
    }
    const sent = best(sends);
    const one = best(single);
    const many = best(batches);
    return [
      { what: 'sends', value: sent.perSecond, unit: 'messages/s' },
      { what: 'sends', value: sent.cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'receive + ack, one by one', value: one.perSecond, unit: 'messages/s' },
      { what: 'receive + ack, one by one', value: one.cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'one by one, to sends', value: one.perSecond / sent.perSecond, unit: '×', atLeast: 1 },
      { what: 'receive + ack, 32 at a time', value: many.perSecond, unit: 'messages/s' },
      { what: 'receive + ack, 32 at a time', value: many.cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: '32 at a time, to sends', value: many.perSecond / sent.perSecond, unit: '×', atLeast: 3 },
    ];
  },
};

function complete(context: BenchContext, figures: LoadFigures, messages: number): LoadFigures {
  if (figures.messages < messages) throw new Error(`of ${messages} messages ${figures.messages} were acknowledged`);
  if (figures.duplicates > 0) context.say(`${figures.duplicates} came twice`);
  return figures;
}
