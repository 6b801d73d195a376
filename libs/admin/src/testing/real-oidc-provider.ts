import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { rolesOfGroups } from '@cometmq/auth';

import { type OidcOptions, OidcProvider } from '../oidc/oidc-provider.js';

const program = join(import.meta.dirname, 'oidc-provider.mjs');

/** Where the provider believes the console to be. Nobody listens there: a test's browser goes to its fixture instead. */
export const consoleUrl = 'http://127.0.0.1:9';

/** A real identity provider in a process of its own. */
export class RealOidcProvider {
  private child: ChildProcess | undefined;
  issuer = '';

  /** @param console where browsers are sent back to */
  constructor(
    private readonly env: Readonly<Record<string, string>> = {},
    private readonly console = consoleUrl,
  ) {}

  /** With new keys, at the address it had before. */
  async start(): Promise<void> {
    const port = this.issuer === '' ? '0' : new URL(this.issuer).port;
    const child = spawn(process.execPath, [program, port, `${this.console}/api/v1/session/oidc/callback`], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...this.env },
    });
    this.child = child;
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])])) as [string];
    if (line === '') throw new Error('the identity provider ended at its start');
    this.issuer = line;
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** As the console knows it. */
  known(more: Partial<OidcOptions> = {}): OidcProvider {
    return new OidcProvider({
      ...{ issuer: this.issuer, clientId: 'console', clientSecret: 'console-secret', consoleUrl },
      ...{ scopes: ['openid', 'profile'], nameClaim: 'preferred_username', groupsClaim: 'groups', audiences: [] },
      roles: rolesOfGroups(['ops=admin', 'dev=viewer', 'billing=user:billing']),
      ...{ deviceClientId: 'cli', loginMsMax: 3_600_000, keysAgainMs: 0 },
      ...more,
    });
  }
}

/** What a person does with a browser: cookies of each address, redirects, and the provider's forms. */
export class Browser {
  private readonly cookies = new Map<string, Map<string, string>>();

  /** @param hosts whom to ask in the place of another */
  constructor(private readonly hosts: ReadonlyMap<string, string>) {}

  /** One page, without what it leads to. */
  async visit(url: string, form?: Readonly<Record<string, string>>): Promise<Response> {
    const { origin } = new URL(url);
    const jar = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, jar);
    const response = await fetch(url.replace(origin, this.hosts.get(origin) ?? origin), {
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  cookieOf(origin: string, name: string): string | undefined {
    return this.cookies.get(origin)?.get(name);
  }

  /** To the first page that leads nowhere else. `until`: to that address, which is not visited. */
  async follow(url: string, until?: string): Promise<{ readonly url: string; readonly response?: Response }> {
    let at = url;
    for (let hops = 0; hops < 20; hops += 1) {
      if (until !== undefined && at.startsWith(until)) return { url: at };
      const response = await this.visit(at);
      const next = response.headers.get('location');
      if (next === null) return { url: at, response };
      at = new URL(next, at).href;
    }
    throw new Error(`${url} leads on and on`);
  }

  /** Fills in the provider's login where it stands. Answers where the form leads to. */
  async logIn(page: string, login: string): Promise<string> {
    const answer = await this.visit(page, { prompt: 'login', login, password: 'any' });
    const next = answer.headers.get('location');
    if (next === null) throw new Error(`the provider answered ${answer.status}: ${await answer.text()}`);
    return new URL(next, page).href;
  }

  /** At the provider, which asks whether that is meant. */
  async logOut(issuer: string): Promise<void> {
    const shown = await this.visit(`${issuer}/session/end`);
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(await shown.text()) ?? [];
    const answer = await this.visit(`${issuer}/session/end/confirm`, { xsrf, logout: 'yes' });
    if (answer.status >= 400) throw new Error(`the provider answered ${answer.status}: ${await answer.text()}`);
  }

  /** The device flow's page: the code that stands in its address, then the login. */
  async confirmDevice(url: string, login: string): Promise<void> {
    const shown = await this.follow(url);
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec((await shown.response?.text()) ?? '') ?? [];
    const { origin, pathname, searchParams } = new URL(url);
    const form = { xsrf, user_code: searchParams.get('user_code') ?? '', confirm: 'yes' };
    const confirmed = await this.visit(`${origin}${pathname}`, form);
    const next = new URL(confirmed.headers.get('location') ?? '', origin).href;
    await this.follow(await this.logIn(next, login));
  }
}
