/**
 * One process of the cluster: started, waited for until it answers that it is ready, stopped, killed, started again.
 * What it says goes to a file; its last words are told when it fails.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { CertificateFiles } from './certificates.ts';
import { began, ended } from './watchdog.ts';

export interface Recipe {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  /** host:port, where others reach it. */
  readonly address: string;
  /** Answers 200 when the process may serve its role. */
  readonly readyUrl: string;
  /** What is shown where it asks for a certificate. */
  readonly readyTls?: CertificateFiles;
  readonly logFile: string;
  /** In a process group of its own, so that a Ctrl-C in a terminal reaches only the one who started it. */
  readonly ownGroup: boolean;
  /** Beside the PATH, which is all it gets of the surroundings. */
  readonly env?: Readonly<Record<string, string>>;
}

const stopMsMax = 35_000;
const lookMs = 40;
const lastWordsBytes = 2_000;

export class ClusterProcess {
  /** Called when it ends without having been asked to. */
  onDeath: (how: string) => void = () => undefined;
  private readonly recipe: Recipe;
  private child: ChildProcess | undefined;
  private gone: Promise<void> = Promise.resolve();
  private asked = false;
  /** Where in the log file this run begins. */
  private logFrom = 0;

  constructor(recipe: Recipe) {
    this.recipe = recipe;
  }

  get name(): string {
    return this.recipe.name;
  }

  get address(): string {
    return this.recipe.address;
  }

  /** Base URL of /metrics, /healthz and /readyz; of etcd, of its client interface. */
  get watchUrl(): string {
    return new URL(this.recipe.readyUrl).origin;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Starts it and returns when it is ready. */
  async start(waitMs = 30_000): Promise<void> {
    this.launch();
    await this.ready(waitMs);
  }

  launch(): void {
    const { file, args, logFile, ownGroup } = this.recipe;
    this.asked = false;
    const log = openSync(logFile, 'a');
    this.logFrom = fstatSync(log).size;
    // Nothing of the surroundings gets in: a variable that one program knows is an error to another.
    const env = { PATH: process.env['PATH'], ...this.recipe.env };
    const child = spawn(file, args, { stdio: ['ignore', log, log], env, detached: ownGroup });
    closeSync(log);
    const { pid } = child;
    if (pid !== undefined) began(pid);
    this.child = child;
    this.gone = new Promise((resolve) => {
      const end = (how: string): void => {
        if (pid !== undefined) ended(pid);
        if (this.child !== child) return;
        this.child = undefined;
        resolve();
        if (!this.asked) this.onDeath(how);
      };
      child.once('error', (error) => end(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => end(signal === null ? `ended with exit code ${code}` : `died of ${signal}`));
    });
  }

  /** @throws Error with its last words when it ends instead, or is not ready in time */
  async ready(waitMs = 30_000): Promise<void> {
    const endMs = performance.now() + waitMs;
    let why = 'it does not answer';
    for (;;) {
      if (this.child === undefined) throw new Error(`${this.name} ended before it was ready${this.lastWords()}`);
      const answer = await answerOf(this.recipe.readyUrl, this.recipe.readyTls).catch(() => undefined);
      if (answer?.ok === true) return;
      if (answer !== undefined) why = answer.text.trim();
      if (performance.now() > endMs) {
        throw new Error(`${this.name} is not ready after ${waitMs} ms: ${why}${this.lastWords()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
  }

  /** Asks it by HTTP where it tells whether it is ready. @throws Error where it does not answer, or with another status */
  async ask(path: string): Promise<string> {
    const { ok, text } = await answerOf(`${this.watchUrl}${path}`, this.recipe.readyTls);
    if (!ok) throw new Error(`${this.name} answers ${path}: ${text}`);
    return text;
  }

  /** Asks it to stop, and waits for it. One that does not stop in time is killed. @returns whether it had to be */
  async stop(): Promise<boolean> {
    this.asked = true;
    this.child?.kill('SIGTERM');
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      this.child?.kill('SIGKILL');
    }, stopMsMax);
    await this.gone;
    clearTimeout(limit);
    return late;
  }

  /** Power off: no chance to say goodbye. */
  async kill(): Promise<void> {
    this.killNow();
    await this.gone;
  }

  /** The same, for who can't wait. */
  killNow(): void {
    this.asked = true;
    this.child?.kill('SIGKILL');
  }

  /** The end of what it has said, as lines to be put behind a message. */
  lastWords(): string {
    const said = readFileSync(this.recipe.logFile)
      .subarray(this.logFrom)
      .subarray(-lastWordsBytes)
      .toString()
      .trimEnd();
    const lines = said.split('\n').slice(-8);
    return said === '' ? '' : `\n${lines.map((line) => `  | ${line}`).join('\n')}\n  (${this.recipe.logFile})`;
  }
}

const answerMsMax = 2_000;

interface Answer {
  readonly ok: boolean;
  readonly text: string;
}

async function answerOf(url: string, readyTls: CertificateFiles | undefined): Promise<Answer> {
  const signal = AbortSignal.timeout(answerMsMax);
  if (readyTls === undefined) {
    const answer = await fetch(url, { signal });
    return { ok: answer.ok, text: await answer.text() };
  }
  const [ca, cert, key] = [readyTls.ca, readyTls.cert, readyTls.key].map((file) => readFileSync(file));
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca, cert, key, signal, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => resolve({ ok: answer.statusCode === 200, text }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}
