// Goal: what CI runs of README.md is what stands there. Method: a page with every form, and the real page.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { blocksOf, commandsOf } from './readme.mjs';

const root = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

describe('the blocks of a page', () => {
  const page = ['# A', '```sh', 'one \\', '  two # why', '# no command', 'three', '```', '## Go: `main.go`', ''].concat(
    ['```go', 'package main', '', '# not a heading', '```', '```sh', 'go run .', '```', ''],
  );

  it('come with their heading, and with a file name where the heading has one', () => {
    expect(blocksOf(page.join('\n'))).toMatchObject([
      { heading: 'A', language: 'sh', file: undefined, line: 2 },
      { heading: 'Go', language: 'go', file: 'main.go', text: 'package main\n\n# not a heading\n' },
      { heading: 'Go', language: 'sh', file: undefined, text: 'go run .\n' },
    ]);
  });

  it('are split into commands', () => {
    const [block] = blocksOf(page.join('\n'));
    expect(commandsOf(block!.text)).toEqual(['one    two # why', 'three']);
  });

  it('must be closed', () => {
    expect(() => blocksOf('```sh\nls\n')).toThrow('line 1 is not closed');
  });
});

describe('README.md', () => {
  const text = read('README.md');

  it('names one Node.js version, the one package.json asks for', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    expect(text).toContain(`Node.js ${engines.node.replace('>=', '')} or newer`);
    expect(text.match(/Node\.js \d+[.\d]* or newer/g)).toHaveLength(1);
  });

  it('shows the newest clients of those that the conformance runs are made with', () => {
    const clients = read('e2e/conformance/src/clients.ts');
    const versionOf = (language: string): string | undefined =>
      new RegExp(`language: '${language}',\\s+package: '[^']+',\\s+version: '([^']+)',\\s+newest: true`).exec(
        clients,
      )?.[1];
    expect(text).toContain(`rocketmq-client-java:${versionOf('Java')} `);
    expect(text).toContain(`rocketmq-clients/golang/v5@v${versionOf('Go')}\n`);
  });
});
