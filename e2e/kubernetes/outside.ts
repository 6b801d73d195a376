/** Official clients outside of the cluster: they know the address of a node and a port of it, and nothing else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Cluster } from './cluster.ts';
import { type Errand, type Kind, prepare } from './errand.ts';
import { bundleClient } from './parcel.ts';
import { follow } from './run.ts';

const sendsMax = 200;
export const languages = ['Java', 'Go'] as const;
export type Language = (typeof languages)[number];

export const languagesProgram = (source: string): string => join(source, 'dist/e2e/languages/main.cjs');

export class Outside {
  private readonly cluster: Cluster;
  private readonly source: string;

  constructor(cluster: Cluster, source: string) {
    this.cluster = cluster;
    this.source = source;
  }

  prepare(name: string, used?: readonly Kind[]): Errand {
    return prepare(this.cluster, name, this.cluster.endpoints(), used);
  }

  /** @returns what the clients say when everything they sent has come, in order @throws Error when something is missing */
  async send(name: string): Promise<string> {
    return this.nodejs({ ...this.prepare(name), sendsMax });
  }

  /** A consumer takes messages and keeps them. @returns what ends when it gives them up */
  async hold(errand: Errand): Promise<{ readonly over: Promise<string> }> {
    const { promise: holds, resolve, reject } = Promise.withResolvers<void>();
    const over = this.nodejs(errand, (line) => (line === 'holding' ? resolve() : undefined));
    over.catch(reject);
    await holds;
    return { over };
  }

  async nodejs(errand: Errand, onLine: (line: string) => void = () => undefined): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'cometmq-outside-'));
    try {
      const program = join(folder, 'client.cjs');
      writeFileSync(program, await bundleClient(this.source));
      const { file, before } = this.cluster.target.outside;
      const variables = [`NODE_PATH=${join(this.source, 'node_modules')}`, `ERRAND=${JSON.stringify(errand)}`];
      return await verdict(file, [...before, ...variables, process.execPath, program], process.env, onLine);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async inLanguage(language: Language, name: string): Promise<string> {
    const { file, before } = this.cluster.target.outside;
    const more = { language, before: [file, ...before], inImage: false, sendsMax: sendsMax / 4 };
    const env = { ...process.env, ERRAND: JSON.stringify({ ...this.prepare(name), ...more }) };
    return verdict(process.execPath, [languagesProgram(this.source), 'work'], env);
  }
}

async function verdict(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  onLine: (line: string) => void = () => undefined,
): Promise<string> {
  let said = '';
  await follow(file, args, env, (line) => {
    said = line;
    onLine(line);
  }).over;
  if (!said.startsWith('balanced ')) throw new Error(`clients from outside: ${said}`);
  return said;
}
