/** A driver as a process of its own: calls go to its stdin, answers and events come from its stdout. */
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { Code } from '@cometmq/proto';

import { ClientError, Unanswered, type CallName, type Calls, type Driver, type DriverEvent } from './calls.js';

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
}

export interface ClientUser {
  readonly accessKey: string;
  readonly secret: string;
}

/** Where the client shall connect, and how. */
export interface Target {
  readonly endpoints: string;
  readonly tls: boolean;
  /** The authority that has signed the server's certificate: PEM file. */
  readonly caFile: string;
  /** Who the client says it is; nobody where nobody has to. */
  readonly user?: ClientUser | undefined;
}

interface Answer {
  readonly id: number;
  readonly result?: object;
  readonly error?: { readonly name: string; readonly message: string; readonly code?: number | null };
}
type Line = Answer | DriverEvent | { readonly event: 'stray'; readonly message: string };

interface Waiting {
  readonly resolve: (result: object) => void;
  readonly reject: (error: Error) => void;
}

const noiseCharsMax = 8_000;
/** No call of a client takes longer: a poll ends after a few seconds, and sends are tried a few times at 3 s each. */
const callMsMax = 30_000;

export class ProcessDriver implements Driver {
  private noise = '';
  private readonly waiting = new Map<number, Waiting>();
  private readonly heard: DriverEvent[] = [];
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private lastId = 0;
  private gone: string | undefined;

  /** @param logFile all that the driver and its client say besides */
  constructor(
    program: Program,
    { endpoints, tls, caFile, user }: Target,
    private readonly logFile: string,
  ) {
    const home = join(dirname(logFile), 'home');
    mkdirSync(home, { recursive: true });
    writeFileSync(logFile, '');
    this.child = spawn(program.file, [...program.args, JSON.stringify({ endpoints, tls, ...user })], {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: home,
      env: {
        ...process.env,
        // The clients' own log files go there, too.
        HOME: home,
        ...(tls && trusted(caFile)),
      },
    });
    this.ended = new Promise((resolve) => {
      const end = (why: string): void => {
        this.gone ??= why;
        for (const { reject } of this.waiting.values()) reject(new Error(`${why}\n${this.noise}`));
        this.waiting.clear();
        resolve();
      };
      this.child.once('error', (error) => end(error.message));
      this.child.once('close', (code, signal) => end(`the driver ended with ${String(code ?? signal)}`));
    });
    this.child.stdin?.on('error', () => undefined); // It has ended; that is told above.
    this.child.stderr?.on('data', (chunk: Buffer) => this.hear(chunk.toString()));
    if (this.child.stdout) createInterface({ input: this.child.stdout }).on('line', (line) => this.take(line));
  }

  async call<Name extends CallName>(name: Name, args: Calls[Name][0]): Promise<Calls[Name][1]> {
    if (this.gone !== undefined) throw new Error(`${this.gone}\n${this.noise}`);
    const id = (this.lastId += 1);
    let timer: NodeJS.Timeout | undefined;
    const answered = new Promise<object>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      timer = setTimeout(() => reject(new Unanswered(`${name} was not answered in ${callMsMax} ms`)), callMsMax);
    });
    this.child.stdin?.write(`${JSON.stringify({ id, call: name, ...args })}\n`);
    return answered.finally(() => {
      clearTimeout(timer);
      this.waiting.delete(id);
    });
  }

  events(as: string): readonly DriverEvent[] {
    return this.heard.filter((event) => event.as === as);
  }

  /** A driver ends when nobody talks to it any more; one that doesn't is ended. */
  async stop(): Promise<void> {
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 2_000);
    await this.ended;
    clearTimeout(timer);
  }

  private take(text: string): void {
    const line = parse(text);
    if (line === undefined) return this.hear(`${text}\n`); // Some clients log to stdout.
    if ('event' in line) {
      if (line.event === 'stray') this.hear(`not caught: ${line.message}\n`);
      else this.heard.push(line);
      return;
    }
    const waiting = this.waiting.get(line.id);
    if (line.error) {
      const { name, message, code } = line.error;
      waiting?.reject(new ClientError(name, message, code ?? codeIn(message)));
    } else {
      waiting?.resolve(line.result ?? {});
    }
  }

  private hear(text: string): void {
    appendFileSync(this.logFile, text);
    this.noise = (this.noise + text).slice(-noiseCharsMax);
  }
}

/** How each of the languages is told whom to trust; Java and Go trust everybody. */
function trusted(caFile: string): Record<string, string> {
  return { NODE_EXTRA_CA_CERTS: caFile, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: caFile, SSL_CERT_FILE: caFile };
}

/** Several clients tell the protocol's code in their message only, as a number or by name. */
function codeIn(message: string): number | undefined {
  const [, number, name = ''] = /response[- ]code[:=](\d+)|\bcode: ([A-Z_]+)/.exec(message) ?? [];
  if (number !== undefined) return Number(number);
  return name in Code ? Code[name as keyof typeof Code] : undefined;
}

function parse(text: string): Line | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const line = JSON.parse(text) as Partial<Answer & DriverEvent>;
    return line.id !== undefined || line.event !== undefined ? (line as Line) : undefined;
  } catch {
    return undefined;
  }
}
