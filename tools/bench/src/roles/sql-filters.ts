/**
 * What a SQL expression of 5 terms costs for messages as they are stored: properties are found in the encoded message,
 * and 1 message in 100 matches.
 */
import { compileFilter } from '@cometmq/filter';
import { EncodedProperties, encodeEnvelope, MessageType } from '@cometmq/model';
import { Message } from '@cometmq/proto';

export interface SqlFiltersJob {
  readonly evaluations: number;
  readonly bodyBytes: number;
}

export interface SqlFiltersFigures {
  /** Of CPU, so that the machine's other work does not count. */
  readonly perCpuSecond: number;
  readonly matchPercent: number;
}

export const fiveTerms =
  "region = 'EU' AND price BETWEEN 10 AND 49 AND (paid = TRUE OR weight > 1.5) AND customer STARTSWITH 'c1'";
const messageCount = 1_000;

export function benchSqlFilters({ evaluations, bodyBytes }: SqlFiltersJob): Promise<SqlFiltersFigures> {
  const payloads = Array.from({ length: messageCount }, (_, i) => payload(i, bodyBytes));
  const filter = compileFilter({ type: 'sql', expression: fiveTerms });
  const properties = new EncodedProperties();
  const run = (rounds: number): number => {
    let matches = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (const one of payloads) if (filter.wantsMessage(properties.of(one))) matches += 1;
    }
    return matches;
  };
  run(100); // Compiled.
  const rounds = Math.max(1, Math.floor(evaluations / messageCount));
  const before = process.cpuUsage();
  const matches = run(rounds);
  const { user, system } = process.cpuUsage(before);
  const count = rounds * messageCount;
  return Promise.resolve({ perCpuSecond: (count / (user + system)) * 1e6, matchPercent: (100 * matches) / count });
}

/** Two thirds fail at the first term, the others at a later one. */
function payload(i: number, bodyBytes: number): Buffer {
  const hit = i % 100 === 0;
  const none = Buffer.alloc(0);
  const id = Buffer.from(String(i).padStart(34, '0'));
  const envelope = encodeEnvelope({ type: MessageType.normal, tag: none, id, group: none, keys: [] });
  const message = Message.fromPartial({
    topic: { name: 'orders' },
    userProperties: new Map([
      ['trace', `4bf92f3577b34da6a3ce929d0e0e4736-${i}`],
      ['region', hit || i % 3 === 0 ? 'EU' : 'US'],
      ['price', hit || i % 2 === 0 ? '25' : '95'],
      ['paid', hit ? 'true' : 'false'],
      ['weight', hit ? '2.5' : '0.5'],
      ['customer', `${hit ? 'c1' : 'c2'}${i}`],
    ]),
    systemProperties: { messageId: id.toString(), bornHost: 'host', keys: ['k1'] },
    body: Buffer.alloc(bodyBytes, 7),
  });
  return Buffer.concat([envelope, Message.encode(message).finish()]);
}
