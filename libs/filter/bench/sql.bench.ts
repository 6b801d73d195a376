/**
 * What a SQL expression costs: evaluations a second of 5 terms where 1 message in 100 matches. Properties come from texts
 * in memory; what it costs to find them in a stored message is in the broker's bench.
 *
 *   npx esbuild libs/filter/bench/sql.bench.ts --bundle --platform=node --format=cjs --outfile=tmp/sql.bench.cjs
 *   node tmp/sql.bench.cjs
 */
import { systemClock } from '@cometmq/shared';

import { compileFilter, type MessageProperties, type PropertyName } from '../src/index.js';

const expression =
  "region = 'EU' AND price BETWEEN 10 AND 49 AND (paid = TRUE OR weight > 1.5) AND customer STARTSWITH 'c1'";

class Texts implements MessageProperties {
  tag = Buffer.alloc(0);
  private names: readonly PropertyName[] = [];
  constructor(private readonly texts: ReadonlyMap<string, string>) {}
  seek(names: readonly PropertyName[]): void {
    this.names = names;
  }
  text(index: number): string | undefined {
    return this.texts.get(this.names[index]!.text);
  }
}

const messages = Array.from({ length: 1000 }, (_, i) => {
  const hit = i % 100 === 0;
  return new Texts(
    new Map([
      ['region', hit || i % 3 === 0 ? 'EU' : 'US'],
      ['price', hit || i % 2 === 0 ? '25' : '95'],
      ['paid', hit ? 'true' : 'false'],
      ['weight', hit ? '2.5' : '0.5'],
      ['customer', hit ? `c1${i}` : `c2${i}`],
    ]),
  );
});

const filter = compileFilter({ type: 'sql', expression });
const evaluate = (rounds: number): number => {
  let matches = 0;
  for (let round = 0; round < rounds; round += 1) {
    for (const message of messages) if (filter.wantsMessage(message)) matches += 1;
  }
  return matches;
};
evaluate(200);
const rounds = 3000;
const from = systemClock.monotonicMs();
const matches = evaluate(rounds);
const seconds = (systemClock.monotonicMs() - from) / 1000;
const evaluations = rounds * messages.length;
console.log(
  `${Math.round(evaluations / seconds)} evaluations/s, ${((100 * matches) / evaluations).toFixed(1)} % match`,
);
