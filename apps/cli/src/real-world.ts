import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { MqError, systemChance, systemClock } from '@cometmq/shared';

import type { Files, World } from './world.js';

const files: Files = {
  read: (path) => unlessMissing(() => readFileSync(path), path),
  write: (path, text) => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, text, { mode: 0o600 });
    renameSync(fresh, path);
  },
  remove: (path) => rmSync(path),
  list: (folder) => unlessMissing(() => readdirSync(folder), folder) ?? [],
};

/** This process's terminal, disk and network. */
export function realWorld(interrupted: AbortSignal): World {
  return {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    written: () => new Promise((resolve) => process.stdout.write('', (error) => resolve(!error))),
    terminal: { in: process.stdin.isTTY, out: process.stdout.isTTY, err: process.stderr.isTTY },
    readAllInput: () =>
      unlessGivenUp(async () => {
        return Buffer.concat((await process.stdin.toArray({ signal: interrupted })) as Buffer[]);
      }),
    ask: async (question) => {
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return await unlessGivenUp(() => terminal.question(question, { signal: interrupted }));
      } finally {
        terminal.close();
      }
    },
    askSecret: async (question) => {
      process.stderr.write(question);
      const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
      const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
      try {
        return await unlessGivenUp(() => terminal.question('', { signal: interrupted }));
      } finally {
        terminal.close();
        process.stderr.write('\n');
      }
    },
    clock: systemClock,
    chance: systemChance,
    fetch: (...request) => fetch(...request),
    connect: async (address, tls) => {
      const { GrpcJsChannel } = await import('@cometmq/rpc');
      return new GrpcJsChannel({ address, clock: systemClock, ...(tls && { tls }) });
    },
    files,
    interrupted,
  };
}

/** Ctrl-C, and Ctrl-D in the place of an answer, are nobody's failure. */
async function unlessGivenUp<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (caught) {
    if ((caught as Error).name === 'AbortError') throw new MqError('CANCELLED', 'nothing was changed');
    throw caught;
  }
}

function unlessMissing<T>(act: () => T, path: string): T | undefined {
  try {
    return act();
  } catch (caught) {
    const { code } = caught as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    const why = { EISDIR: 'is a folder, not a file', EACCES: 'may not be read', ENOTDIR: 'is no path' }[code ?? ''];
    throw new MqError('CONFIG', `${path} ${why ?? `can't be read: ${code}`}`, { cause: caught });
  }
}
