import type { PublicClient } from '@cometmq/client';
import { millis, MqError, throwAssertion } from '@cometmq/shared';
import { Option, type Command } from 'commander';

import { apiUrl, Contexts, hostPort, localContext, type Context } from './contexts.js';
import type { ExitCode } from './exit-codes.js';
import { durationText, Printer, visible, type Format } from './printer.js';
import { Progress } from './progress.js';
import { RestClient } from './rest-client.js';
import { setting, type World } from './world.js';

/** Options every command takes, before or behind its name. */
export interface GlobalOptions {
  readonly context?: string;
  readonly api?: string;
  readonly endpoint?: string;
  readonly tls?: boolean;
  readonly ca?: string;
  readonly timeout?: number;
  readonly output: Format;
  readonly yes?: boolean;
  readonly color: boolean;
}

const timeoutMsDefault = 10_000;
/** A token that is about to end is not begun with. */
const tokenLeftMsMin = 60_000;

const duration = millis({ default: 0, min: 0, max: 365 * 86_400_000, why: '' });

/** `500ms`, `5s`, `2m`, or a number of milliseconds. @throws MqError CONFIG */
export function durationMs(text: string): number {
  const value = duration.parse(text);
  if (value === undefined) throw new MqError('CONFIG', `"${text}": must be a duration like 500ms, 5s or 2m`);
  return value;
}

/** An option that takes a duration; help shows its default as it would be typed. */
export function durationOption(flags: string, description: string, defaultMs: number): Option {
  return new Option(flags, description).argParser(durationMs).default(defaultMs, durationText(defaultMs));
}

/** @throws MqError CONFIG */
export function timeMs(text: string): number {
  const value = Date.parse(text);
  if (!/^\d{4}-/.test(text) || Number.isNaN(value)) {
    throw new MqError('CONFIG', `"${text}": must be a time like 2027-01-31T08:00:00Z`);
  }
  return value;
}

/** A whole number within bounds. @throws MqError CONFIG */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) {
      throw new MqError('CONFIG', `"${text}": must be a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

/** One run of a command: which cluster it calls, and how it shows the answers. */
export class Session {
  readonly contexts: Contexts;
  readonly printer: Printer;
  private readonly closing: (() => void)[] = [];
  private issued: string | undefined;

  constructor(
    readonly world: World,
    readonly options: GlobalOptions,
  ) {
    this.contexts = new Contexts(world);
    const { NO_COLOR: none, CI: ci } = world.env;
    this.printer = new Printer(world, options.output, options.color && world.terminal.out && !none && !ci);
  }

  /** Flags go over the environment, and that over the context in use. */
  get target(): Context {
    const { options, world } = this;
    const name = options.context ?? this.contexts.current();
    const base = name === undefined ? localContext : this.contexts.get(name);
    const ca = options.ca ?? base.ca;
    return {
      api: apiUrl(options.api ?? setting(world, 'COMET_API') ?? base.api),
      endpoint: hostPort(options.endpoint ?? setting(world, 'COMET_ENDPOINT') ?? base.endpoint),
      tls: options.tls ?? base.tls,
      ...(ca !== undefined && { ca }),
      ...this.login(base),
    };
  }

  /**
   * The first there is of COMET_USER with COMET_SECRET, COMET_TOKEN, COMET_SECRET_FILE, and what the context has; never that of a
   * context that another address was given for.
   */
  private login(base: Context): Pick<Context, 'user' | 'secret' | 'token'> {
    const { world } = this;
    const [user, secret] = [setting(world, 'COMET_USER'), setting(world, 'COMET_SECRET')];
    if (user !== undefined && secret !== undefined) return { user, secret };
    const given = setting(world, 'COMET_TOKEN');
    if (given !== undefined) return { token: { value: given, untilMs: Infinity } };
    const file = setting(world, 'COMET_SECRET_FILE');
    if (file !== undefined) return loginIn(world, file);
    const { options } = this;
    const api = options.api ?? setting(world, 'COMET_API');
    const endpoint = options.endpoint ?? setting(world, 'COMET_ENDPOINT');
    const isElsewhere = [api, endpoint].some((one, i) => one !== undefined && one !== [base.api, base.endpoint][i]);
    if (isElsewhere) return {};
    const { user: name, secret: kept, token } = base;
    return { ...(name !== undefined && kept !== undefined && { user: name, secret: kept }), ...(token && { token }) };
  }

  /** A token for the REST API: the one the context has, while it is good, or one of a new login. */
  private async token(): Promise<string | undefined> {
    const { user, secret, token, api } = this.target;
    const nowMs = this.world.clock.wallMs();
    if (token && token.untilMs > nowMs + tokenLeftMsMin) return token.value;
    if (user === undefined || secret === undefined) {
      if (token) throw new MqError('UNAUTHORIZED', 'the login by the identity provider has ended: comet login --oidc');
      return undefined;
    }
    if (this.issued === undefined) {
      const { fetch, clock } = this.world;
      const issued = await new RestClient(fetch, clock, api, this.timeoutMs).call<{ token: string; untilMs: number }>(
        ...(['POST', '/login', { user, secret }] as const),
      );
      this.issued = issued.token;
      const name = this.options.context ?? this.contexts.current();
      const saved = name === undefined ? undefined : this.contexts.get(name);
      if (name !== undefined && saved?.user === user && saved.secret === secret) {
        const { token: value, untilMs } = issued;
        try {
          this.contexts.put(name, { ...saved, token: { value, untilMs } });
        } catch (caught) {
          throwAssertion(caught); // A file that can't be written (read-only, full) costs a login the next time, no more.
        }
      }
    }
    return this.issued;
  }

  private readonly noteMissing = (brokerSet: string, detail: string): void =>
    this.note(`${brokerSet} did not answer, so what it has is left out: ${visible(detail)}`);

  get timeoutMs(): number {
    return this.options.timeout ?? timeoutMsDefault;
  }

  /** @param incomplete what is done where a broker set did not answer: it is noted, if nothing is said */
  api(incomplete = this.noteMissing): RestClient {
    const { fetch, clock, interrupted } = this.world;
    return new RestClient(fetch, clock, this.target.api, this.timeoutMs, () => this.token(), incomplete, interrupted);
  }

  /** A client like any other, of the proxies' gRPC endpoint. */
  async client(): Promise<PublicClient> {
    const { endpoint, tls, ca, user, secret } = this.target;
    const [{ PublicClient }, { ownHeaders, Secret }, channel] = await Promise.all([
      import('@cometmq/client'),
      import('@cometmq/auth'),
      this.world.connect(endpoint, tls ? (ca === undefined ? {} : { caPem: this.authorities(ca) }) : undefined),
    ]);
    this.closing.push(() => channel.close());
    const { clock, chance } = this.world;
    const sign = (path: string, body: Uint8Array): Readonly<Record<string, string>> =>
      user === undefined || secret === undefined
        ? {}
        : ownHeaders(user, new Secret(secret), { path, body, nowMs: clock.wallMs() });
    return new PublicClient({ channel, clock, chance, requestMsMax: this.timeoutMs, sign });
  }

  close(): void {
    for (const close of this.closing) close();
  }

  /** Counts up on standard error where a person looks on; silent elsewhere, and on work that is done at once. */
  progress(what: string, total: number): Progress {
    return new Progress(this.world, what, total);
  }

  /** What it holds may come from anywhere: a server, an identity provider, a message. */
  note(text: string): void {
    this.world.err(`${visible(text)}\n`);
  }

  /** @throws MqError CONFIG when nobody can be asked, CANCELLED when the answer is no. */
  async confirm(question: string): Promise<void> {
    if (this.options.yes) return;
    if (!this.world.terminal.in)
      throw new MqError('CONFIG', `${question} Add --yes to confirm where there is no terminal`);
    const answer = await this.world.ask(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new MqError('CANCELLED', 'nothing was changed');
  }

  private authorities(path: string): string {
    const bytes = this.world.files.read(path);
    if (!bytes) throw new MqError('CONFIG', `--ca ${path}: no such file`);
    return Buffer.from(bytes).toString('utf8');
  }
}

/** A file with a name and a secret, as the first admin's is kept. @throws MqError CONFIG */
function loginIn({ files }: World, path: string): { user: string; secret: string } {
  const bytes = files.read(path);
  if (!bytes) throw new MqError('CONFIG', `COMET_SECRET_FILE=${path}: no such file`);
  const text = Buffer.from(bytes).toString('utf8');
  const [user, secret, ...rest] = text.trim().split(/\s+/);
  if (user !== undefined && secret !== undefined && rest.length === 0) return { user, secret };
  throw new MqError('CONFIG', `COMET_SECRET_FILE=${path}: must hold "<name> <secret>"`);
}

/** Makes an action of a command: it gets a session beside its arguments and options, closed when it is through. */
export type Act = <Args extends unknown[]>(
  work: (session: Session, ...args: Args) => Promise<ExitCode | void> | void,
) => (...given: [...Args, Command]) => Promise<void>;

/** Examples end a help page. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}
