/**
 * Programs as a newcomer starts them: in an environment in which nothing of ours is set, each in a process group of its
 * own, so that whatever it has started ends with it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** What of this process's environment is the machine's: who, where, and how the network and the registries are reached. */
const machines =
  /^(HOME|USER|LOGNAME|SHELL|LANG|LC_.*|TZ|TMPDIR|TERM|https?_proxy|no_proxy|SSL_CERT_.*|NODE_EXTRA_CA_CERTS|npm_config_.*|PIP_.*|GO[A-Z0-9]+|MAVEN_.*|JAVA_HOME)$/i;

/** @param {string} [first] a folder that is looked into before all others */
export function bareEnvironment(first) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => machines.test(name)));
  // `npm run` puts the project's own Node.js in front; a newcomer has not.
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return { ...env, PATH: [...(first === undefined ? [] : [first]), ...path].join(delimiter) };
}

const groups = new Set();
const folders = new Set();
process.on('exit', () => {
  for (const group of groups) signalGroup(group, 'SIGKILL');
  // What a program in a folder of ours has left behind, though it should not have, is told and then ended.
  for (const folder of folders) {
    for (const { pid } of processesOf(folder)) process.kill(pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
});
/** A folder that is ours from its making to our end. */
export function ownFolder(prefix) {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.add(folder);
  return folder;
}

for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.on(signal, () => process.exit(code));
}

function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** A program that goes on by itself, and is listened to. */
export class Running {
  said = '';
  #child;
  #waiting = new Set();
  #ended;

  constructor(command, args, { cwd, env, input = 'ignore' }) {
    this.command = [command, ...args].join(' ');
    this.#child = spawn(command, args, { cwd, env, detached: true, stdio: [input, 'pipe', 'pipe'] });
    const { pid } = this.#child;
    if (pid !== undefined) groups.add(pid);
    const hear = (chunk) => {
      this.said += chunk.toString();
      for (const look of this.#waiting) look();
    };
    this.#child.stdout.on('data', hear);
    this.#child.stderr.on('data', hear);
    this.#ended = new Promise((resolve) => {
      const end = (code) => {
        if (pid !== undefined) signalGroup(pid, 'SIGKILL');
        groups.delete(pid);
        this.code = code;
        resolve(code);
        for (const look of this.#waiting) look();
      };
      this.#child.once('error', (error) => {
        this.said += error.message;
        end(127);
      });
      this.#child.once('close', (code, signal) => end(code ?? signal));
    });
  }

  /** Resolves when it has said what `pattern` asks for. */
  says(pattern, withinMs) {
    return new Promise((resolve, reject) => {
      const done = (settle) => {
        clearTimeout(limit);
        this.#waiting.delete(look);
        settle();
      };
      const fail = (why) => done(() => reject(new Error(`${this.command}: ${why}\n${ending(this.said)}`)));
      const look = () => {
        const found = pattern.exec(this.said);
        if (found !== null) done(() => resolve(found));
        else if (this.code !== undefined) fail(`ended with ${this.code} and never said ${pattern}`);
      };
      const limit = setTimeout(() => fail(`did not say ${pattern} within ${withinMs / 1000} s`), withinMs);
      this.#waiting.add(look);
      look();
    });
  }

  /** Ctrl-C reaches the whole group of processes, as it does in a terminal. */
  interrupt() {
    if (this.code === undefined) signalGroup(this.#child.pid, 'SIGINT');
  }

  /** What is typed into its terminal. */
  type(text) {
    this.#child.stdin.write(text);
  }

  /** Resolves to its exit code, or to the signal that ended it. One that takes too long is killed. */
  async ended(withinMs) {
    const limit = setTimeout(() => {
      this.said += `\n[killed: it ran longer than ${withinMs / 1000} s]`;
      signalGroup(this.#child.pid, 'SIGKILL');
    }, withinMs);
    const code = await this.#ended;
    clearTimeout(limit);
    return code;
  }
}

/** Runs a command line of the shell to its end. Rejects unless it ends with 0; else gives all it said. */
export async function shell(line, { withinMs = 120_000, ...options }) {
  const program = new Running('sh', ['-ec', line], options);
  const code = await program.ended(withinMs);
  if (code !== 0) throw new Error(`$ ${line}\nended with ${code}\n${ending(program.said)}`);
  return program.said;
}

export function ending(text) {
  return text.trimEnd().split('\n').slice(-25).join('\n');
}

/** The processes that were started in a folder, or with it on their command line: what nobody may leave behind. */
export function processesOf(folder) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const isOurs = line.includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
        return line !== '' && isOurs ? [{ pid: Number(pid), line }] : [];
      } catch {
        return []; // It has ended meanwhile, or belongs to somebody else.
      }
    });
}

/** Whether nobody listens there, on any address of this machine. */
export function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

/** Resolves when `holds` does; rejects when it still doesn't in the end. */
export async function until(what, holds, withinMs) {
  const endMs = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`after ${withinMs / 1000} s still not: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
