// Goal: the clients' port speaks HTTP/2 as RFC 9113 and RFC 7541 say. Method: h2spec, a conformance tester by others, over
// plain text and TLS. Each rule has a spec of our own too: libs/rpc/src/front-door/http2-rules.spec.ts.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { cache, MissingToolchain, need, run, unlessMade } from '../conformance/src/toolchains/toolchain.js';
import { Standalone } from '../support/standalone.js';

const tool = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible';

/** @returns the program, or undefined where Go is missing and nobody minds */
async function built(): Promise<string | undefined> {
  try {
    need('go', 'version');
  } catch (caught) {
    if (!(caught instanceof MissingToolchain) || process.env['CI'] === 'true') throw caught;
    console.warn(`h2spec is left out: ${caught.message}`);
    return undefined;
  }
  const folder = join(cache, 'h2spec');
  await unlessMade(folder, [], [tool], async () => {
    await run('go', ['install', tool], { env: { GOBIN: folder } });
  });
  return join(folder, 'h2spec');
}

let broker: Standalone;
beforeAll(async () => {
  broker = await new Standalone().start();
});
afterAll(() => broker.stop());

it.each([
  ['plain text', 'plain', []],
  ['TLS', 'tls', ['-t', '-k']],
])(
  'h2spec finds nothing wrong over %s',
  async (_how, mark, flags) => {
    const program = await built();
    if (program === undefined) return;
    const report = join(cache, 'logs', `h2spec-${mark}.xml`);
    mkdirSync(dirname(report), { recursive: true });
    rmSync(report, { force: true });
    const where = ['-h', '127.0.0.1', '-p', String(broker.grpcPort), '-j', report];
    await run(program, [...where, ...flags]).catch(() => undefined); // It fails when a test of it does; told below.
    const said = readFileSync(report, 'utf8');
    const total = (what: string): number => {
      const found = said.matchAll(new RegExp(`<testsuite [^>]*${what}="(\\d+)"`, 'g'));
      return [...found].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const counts = {
      tests: total('tests'),
      failures: total('failures'),
      errors: total('errors'),
      skipped: total('skipped'),
    };
    expect(counts).toEqual({ tests: 145, failures: 0, errors: 0, skipped: 0 });
  },
  300_000,
);
