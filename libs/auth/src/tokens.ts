/**
 * Tokens, made at login and good for a while: `comet1.<payload>.<mac>`, both base64url. Nothing is stored; the keys are made
 * from those of the key file, so every process that has it can read them. A token ends with its time, with the user, with
 * the user's secret, and before all that when somebody logs out: then its id is told to every process.
 *
 * A bearer token is for programs; a session is what a browser keeps in a cookie. Neither does for the other, as a browser
 * must say its CSRF token too.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { ApiToken, RevokedToken, User } from '@cometmq/model';
import { MqError, throwAssertion, type Clock, type Timer } from '@cometmq/shared';

import { CompiledPolicies } from './decision.js';
import type { IdentityBook } from './identity-book.js';
import { ScopedPrincipal, type Principal } from './principal.js';
import { type ExternalIdentity, ExternalPrincipals } from './roles.js';
import type { SecretBox } from './secrets.js';
import { revokedTokensMax } from './users.js';

const prefix = 'comet1';
/** What each of our tokens begins with, and no other's does. */
export const tokenPrefix = `${prefix}.`;
const tokenLengthMax = 2_048;
/** So often others are told again that a token has ended, while nobody tells them. */
const againMs = 5_000;
/** Told at once. */
const toldAtOnce = 64;

/** `api`: made by its user for a program, listed with the user, and good for as long as it stands there. */
export type TokenKind = 'bearer' | 'session' | 'api';

interface Payload {
  readonly kind: TokenKind;
  readonly user: string;
  readonly secretVersion: number;
  /** Of the user: a later one of the same name is another. Left out by releases before. */
  readonly createdMs?: number | undefined;
  /** Of somebody whom an identity provider has told of; left out: a user of this cluster. */
  readonly roles?: readonly string[] | undefined;
  readonly untilMs: number;
  /** Of a session: after that it is not prolonged. */
  readonly endMs: number;
  readonly id: string;
  /** Ids that end it besides its own, where they were ended for what ends when it does, or later. */
  readonly endedBy?: readonly string[] | undefined;
}

export interface IssuedToken {
  readonly token: string;
  readonly untilMs: number;
  readonly id: string;
}

export interface ReadToken {
  readonly principal: Principal;
  readonly untilMs: number;
  readonly endMs: number;
  readonly id: string;
  readonly endedBy?: readonly string[] | undefined;
  /** Undefined: it was given by a login. */
  readonly api?: ApiToken | undefined;
}

/** How other processes hear of a token that was ended. */
export interface Revocations {
  revokeToken(token: RevokedToken): Promise<void>;
}

export class BearerTokens {
  /** Tokens that were shown and let nobody in: of another cluster, ended, or revoked. */
  refused = 0;
  private readonly keys: readonly { readonly keyId: string; readonly key: Buffer }[];
  /** Ended here, and others have not been told yet: until when each would be good. */
  private readonly untold = new Map<string, number>();
  private timer: Timer | undefined;
  private readonly external: ExternalPrincipals;
  /** By user and the token's id: decisions are kept with them. */
  private readonly scopes = new WeakMap<Principal, Map<string, Principal>>();
  private readonly listeners = new Set<() => void>();

  constructor(
    box: SecretBox,
    private readonly book: IdentityBook,
    private readonly clock: Clock,
    private readonly revocations: Revocations,
    /** Tokens that others have not been told of, at the most. */
    private readonly untoldMax = revokedTokensMax,
  ) {
    this.keys = box.derived('bearer tokens');
    this.external = new ExternalPrincipals(book);
  }

  private refuse(why: string): never {
    this.refused += 1;
    throw new MqError('UNAUTHORIZED', why);
  }

  /** @param before the session that is prolonged */
  issue(
    kind: TokenKind,
    principal: Principal,
    lifeMs: number,
    before: Partial<Pick<ReadToken, 'id' | 'endMs' | 'endedBy'>> = {},
  ): IssuedToken {
    const lifeEndMs = this.clock.wallMs() + lifeMs;
    const { endMs = lifeEndMs } = before; // What is not prolonged ends with its life.
    return this.issueUntil(kind, principal, { ...before, untilMs: Math.min(lifeEndMs, endMs), endMs });
  }

  /** A session that is prolonged until `endMs` at the most. */
  begin(principal: Principal, lifeMs: number, longestMs: number, endedBy?: ExternalIdentity['endedBy']): IssuedToken {
    const nowMs = this.clock.wallMs();
    return this.issueUntil('session', principal, { untilMs: nowMs + lifeMs, endMs: nowMs + longestMs, endedBy });
  }

  /** The text of a token, which is good while the user's list names it. */
  issueApi({ name, secretVersion, createdMs }: User, { id, untilMs }: ApiToken): string {
    return this.signed({ kind: 'api', user: name, secretVersion, createdMs, untilMs, endMs: untilMs, id });
  }

  /** What a program brings, given by a login or made for it. @throws MqError UNAUTHORIZED, UNAVAILABLE */
  readBearer(token: string): ReadToken {
    const payload = this.payloadIn(token);
    return payload?.kind === 'api' ? this.readApi(payload) : this.read('bearer', token);
  }

  private readApi({ user: name, secretVersion, createdMs, id }: Payload): ReadToken {
    const principal = this.principalIn({ user: name, secretVersion, createdMs });
    const api = principal.user?.tokens?.find((one) => one.id === id);
    if (!api || api.untilMs <= this.clock.wallMs() || this.endedUntil(id) > 0) {
      return this.refuse('the token has ended, or was revoked');
    }
    return { principal: this.scoped(principal, api), untilMs: api.untilMs, endMs: api.untilMs, id, api };
  }

  private scoped(principal: Principal, { id, name: token, scope }: ApiToken): Principal {
    if (!scope) return principal;
    const known = this.scopes.get(principal) ?? new Map<string, Principal>();
    this.scopes.set(principal, known);
    const found = known.get(id) ?? new ScopedPrincipal(principal, { token, policies: new CompiledPolicies(scope) });
    known.set(id, found);
    return found;
  }

  /** @throws MqError UNAUTHORIZED, UNAVAILABLE */
  read(kind: TokenKind, token: string): ReadToken {
    const payload = this.payloadIn(token);
    if (payload?.kind !== kind) return this.refuse('the token is not of this cluster; log in again');
    if (payload.untilMs <= this.clock.wallMs() || this.isRevoked(payload)) {
      return this.refuse('the token has ended; log in again');
    }
    const { untilMs, endMs, id, endedBy } = payload;
    return { principal: this.principalIn(payload), untilMs, endMs, id, endedBy };
  }

  /** @throws MqError UNAUTHORIZED, UNAVAILABLE */
  private principalIn({
    user,
    roles,
    secretVersion,
    createdMs,
  }: {
    readonly user: string;
    readonly roles?: readonly string[] | undefined;
    readonly secretVersion: number;
    readonly createdMs?: number | undefined;
  }): Principal {
    if (roles !== undefined) return this.external.of({ name: user, roles });
    this.book.checkReady(); // Else a token would end with a user that is there all the same.
    const principal = this.book.principal(user);
    const isSame = createdMs === undefined || principal?.user?.createdMs === createdMs;
    if (isSame && principal?.user?.secretVersion === secretVersion) return principal;
    return this.refuse('the token has ended with its user or its secret; log in again');
  }

  /**
   * Who was let in by a token, as it is now: also after the token has ended by itself, or its session was left. One that was made
   * for a program must not have been revoked before its time.
   *
   * @throws MqError UNAUTHORIZED
   */
  renewed(principal: Principal, api?: ApiToken): Principal {
    const { name, roles, user } = principal;
    const now = this.principalIn({
      user: name,
      roles,
      secretVersion: user?.secretVersion ?? 0,
      createdMs: user?.createdMs,
    });
    if (api && api.untilMs > this.clock.wallMs()) {
      const isListed = now.user?.tokens?.some(({ id }) => id === api.id) === true;
      if (!isListed || this.endedUntil(api.id) > 0) return this.refuse(`the token ${api.name} was revoked`);
    }
    return principal instanceof ScopedPrincipal ? principal.of(now) : now;
  }

  /** Of somebody whom an identity provider has told of. */
  externalPrincipal(identity: ExternalIdentity): Principal {
    return this.external.of(identity);
  }

  private isRevoked({ id, endMs, endedBy = [] }: Pick<ReadToken, 'id' | 'endMs' | 'endedBy'>): boolean {
    return this.endedUntil(id) > 0 || this.areEnded(endedBy, endMs);
  }

  /** Whether any of these has ended what ends by itself at this time. */
  areEnded(ids: readonly string[], endMs: number): boolean {
    return ids.some((id) => this.endedUntil(id) >= endMs);
  }

  private endedUntil(id: string): number {
    return Math.max(this.untold.get(id) ?? 0, this.book.revokedUntil(id) ?? 0);
  }

  /**
   * Ends it before its time: here at once, and everywhere when it resolves. Others that can't be told now are told later.
   *
   * @throws MqError TOO_MANY_REQUESTS, and then nothing has ended; UNAVAILABLE, when it has ended in this process alone yet
   */
  async revoke({ id, endMs: untilMs }: Pick<ReadToken, 'id' | 'endMs'>): Promise<void> {
    this.forgetEnded();
    if (this.untold.size >= this.untoldMax)
      throw new MqError('TOO_MANY_REQUESTS', 'too many have logged out lately; the token ends with its time');
    this.untold.set(id, Math.max(untilMs, this.untold.get(id) ?? 0));
    for (const listener of [...this.listeners]) listener();
    try {
      await this.tell({ id, untilMs });
    } catch (caught) {
      const { reason } = MqError.from(caught);
      this.tellLater();
      throw new MqError('UNAVAILABLE', `logged out here; other processes could not be told yet: ${reason}`);
    }
  }

  /** What this process has heard of itself needs no place here. */
  private async tell(token: RevokedToken): Promise<void> {
    await this.revocations.revokeToken(token);
    const isHeard = (): boolean => (this.book.revokedUntil(token.id) ?? 0) >= token.untilMs;
    await this.book.until(isHeard, againMs).catch(() => undefined);
    if (isHeard()) this.untold.delete(token.id);
    else this.tellLater();
  }

  private tellLater(waitMs = againMs): void {
    this.timer ??= this.clock.after(waitMs, () => {
      this.timer = undefined;
      void this.tellMany();
    });
  }

  /** Some at once, and the next as soon as these are told: after an outage there may be thousands. */
  private async tellMany(): Promise<void> {
    this.forgetEnded();
    const some = [...this.untold].slice(0, toldAtOnce).map(([id, untilMs]) => this.tell({ id, untilMs }));
    let failed = false;
    for (const end of await Promise.allSettled(some)) {
      if (end.status === 'fulfilled') continue;
      throwAssertion(end.reason);
      failed = true;
    }
    if (this.untold.size > 0) this.tellLater(failed ? againMs : 0);
  }

  private forgetEnded(): void {
    const nowMs = this.clock.wallMs();
    for (const [id, untilMs] of this.untold) if (untilMs <= nowMs) this.untold.delete(id);
  }

  /** Called after a token was ended before its time. @returns what ends the listening */
  onRevoked(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** What a page has to say beside its cookie, the same for the whole session. */
  csrfOf(id: string): string {
    return macOf(this.keys[0]?.key ?? Buffer.alloc(0), `csrf ${id}`).toString('base64url');
  }

  isCsrfOf(id: string, said: string): boolean {
    return this.keys.some(({ key }) => same(Buffer.from(said, 'base64url'), macOf(key, `csrf ${id}`)));
  }

  private issueUntil(
    kind: TokenKind,
    { name, user, roles }: Principal,
    { untilMs, endMs, id, endedBy }: Pick<ReadToken, 'untilMs' | 'endMs' | 'endedBy'> & { readonly id?: string },
  ): IssuedToken {
    const payload: Payload = {
      kind,
      user: name,
      secretVersion: user?.secretVersion ?? 0,
      ...(user && { createdMs: user.createdMs }),
      ...(roles && { roles }),
      untilMs,
      endMs,
      id: id ?? randomBytes(9).toString('base64url'),
      ...(endedBy && { endedBy }),
    };
    return { token: this.signed(payload), untilMs, id: payload.id };
  }

  private signed(payload: Payload): string {
    const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
    const mac = macOf(this.keys[0]?.key ?? Buffer.alloc(0), `${prefix}.${text}`).toString('base64url');
    return `${prefix}.${text}.${mac}`;
  }

  private payloadIn(token: string): Payload | undefined {
    const [head, text = '', mac = '', ...rest] = token.length > tokenLengthMax ? [] : token.split('.');
    if (head !== prefix || rest.length > 0) return undefined;
    const given = Buffer.from(mac, 'base64url');
    const isOurs = this.keys.some(({ key }) => same(given, macOf(key, `${prefix}.${text}`)));
    return isOurs ? (JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Payload) : undefined;
  }
}

function same(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function macOf(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
