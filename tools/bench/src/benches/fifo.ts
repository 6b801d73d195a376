import { type Bench, type BenchContext, type Figure, best } from '../bench.js';
import type { LoadFigures } from '../load/load.js';

const connections = 8;
const groups = 1_000;
const max = 32;

interface Round {
  readonly sends: LoadFigures;
  readonly drain: LoadFigures;
}

/** Message groups beside plain messages, and with one group whose first message is never acknowledged. */
export const fifo: Bench = {
  name: 'fifo',
  about: 'send, receive and acknowledge messages of 1,000 groups, also with one group stuck, against plain messages',
  async run(context): Promise<readonly Figure[]> {
    const server = await context.standalone();
    await server.rest('POST', '/groups', { name: 'bench-plain' });
    await server.rest('POST', '/groups', { name: 'bench-orderly', fifo: true });
    const plain: Round[] = [];
    const orderly: Round[] = [];
    const stuck: Round[] = [];
    const round = (name: string, group: string, kinds: { grouped: boolean; stuck: boolean }): Promise<Round> =>
      roundOf(context, server, name, group, kinds);
    // In turn, so that all meet the same neighbours.
    for (let i = 0; i < context.rounds; i += 1) {
      plain.push(await round(`plain-${i}`, 'bench-plain', { grouped: false, stuck: false }));
      orderly.push(await round(`orderly-${i}`, 'bench-orderly', { grouped: true, stuck: false }));
      stuck.push(await round(`stuck-${i}`, 'bench-orderly', { grouped: true, stuck: true }));
    }
    const sendsOf = (list: readonly Round[]): LoadFigures => best(list.map(({ sends }) => sends));
    const drainOf = (list: readonly Round[]): LoadFigures => best(list.map(({ drain }) => drain));
    const sends = [sendsOf(plain), sendsOf([...orderly, ...stuck])] as const;
    const drains = [drainOf(plain), drainOf(orderly), drainOf(stuck)] as const;
    const percent = (one: LoadFigures, other: LoadFigures): number => (100 * one.perSecond) / other.perSecond;
    return [
      { what: 'plain sends', value: sends[0].perSecond, unit: 'messages/s' },
      { what: 'plain sends', value: sends[0].cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'sends to groups', value: sends[1].perSecond, unit: 'messages/s' },
      { what: 'sends to groups', value: sends[1].cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'sends to groups, to plain', value: percent(sends[1], sends[0]), unit: '%', atLeast: 80 },
      { what: 'plain receive + ack', value: drains[0].perSecond, unit: 'messages/s' },
      { what: 'plain receive + ack', value: drains[0].cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'receive + ack in order', value: drains[1].perSecond, unit: 'messages/s' },
      { what: 'receive + ack in order', value: drains[1].cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'in order, to plain', value: percent(drains[1], drains[0]), unit: '%', atLeast: 80 },
      { what: 'one group stuck, the others', value: drains[2].perSecond, unit: 'messages/s' },
      { what: 'one group stuck, the others', value: drains[2].cpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'the others, to none stuck', value: percent(drains[2], drains[1]), unit: '%', atLeast: 95 },
    ];
  },
};

async function roundOf(
  context: BenchContext,
  { port, pid }: { readonly port: number; readonly pid: number },
  name: string,
  group: string,
  kinds: { readonly grouped: boolean; readonly stuck: boolean },
): Promise<Round> {
  const messages = context.quick ? 20_000 : 150_000;
  const topic = `bench-fifo-${name}`;
  const target = { port, pid, topic, connections };
  context.say(`${messages} sends, ${name}`);
  const shape = { bodyBytes: 1_024, messages, inFlight: 32, ...(kinds.grouped && { groups }) };
  const sends = await context.load({ kind: 'fill', ...target, ...shape });
  // Each connection goes through the groups on its own, so that it is not known to the message how many are stuck.
  const expected = kinds.stuck ? messages - messages / groups - connections : messages;
  context.say(`receive and acknowledge, ${name}`);
  const drain = await context.load({
    kind: 'drain',
    ...target,
    group,
    messages: expected,
    max,
    // 512 messages in flight at most: with more than there are groups, these would be the limit, not the broker.
    inFlight: 2,
    ...(kinds.stuck && { stuckOf: groups }),
  });
  if (drain.messages < expected) throw new Error(`of ${expected} messages ${drain.messages} were acknowledged`);
  return { sends, drain };
}
