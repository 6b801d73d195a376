/**
 * Tokens, made at login and good for a while: `comet1.<payload>.<mac>`, both base64url. Nothing is stored; the keys are made
 * from those of the key file, so every process that has it can read them. A token ends with its time, with the user, and with
 * the user's secret.
 *
 * A bearer token is for programs; a session is what a browser keeps in a cookie. Neither does for the other, as a browser
 * must say its CSRF token too.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import { MqError, type Clock } from '@cometmq/shared';

import type { IdentityBook } from './identity-book.js';
import type { Principal } from './principal.js';
import { type ExternalIdentity, ExternalPrincipals } from './roles.js';
import type { SecretBox } from './secrets.js';

const prefix = 'comet1';
/** What each of our tokens begins with, and no other's does. */
export const tokenPrefix = `${prefix}.`;
const tokenLengthMax = 2_048;
const revokedUsualMax = 100_000;

export type TokenKind = 'bearer' | 'session';

interface Payload {
  readonly kind: TokenKind;
  readonly user: string;
  readonly secretVersion: number;
  /** Of somebody whom an identity provider has told of; left out: a user of this cluster. */
  readonly roles?: readonly string[] | undefined;
  readonly untilMs: number;
  /** Of a session: after that it is not prolonged. */
  readonly endMs: number;
  readonly id: string;
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
}

export class BearerTokens {
  private readonly keys: readonly { readonly keyId: string; readonly key: Buffer }[];
  private readonly revoked = new Map<string, number>();
  private readonly external: ExternalPrincipals;
  private readonly listeners = new Set<() => void>();

  constructor(
    box: SecretBox,
    private readonly book: IdentityBook,
    private readonly clock: Clock,
    /** Tokens that were ended before their time, remembered at once. */
    private readonly revokedMax = revokedUsualMax,
  ) {
    this.keys = box.derived('bearer tokens');
    this.external = new ExternalPrincipals(book);
  }

  /** @param before the session that is prolonged */
  issue(kind: TokenKind, principal: Principal, lifeMs: number, before?: Pick<ReadToken, 'id' | 'endMs'>): IssuedToken {
    const lifeEndMs = this.clock.wallMs() + lifeMs;
    const endMs = before?.endMs ?? lifeEndMs; // What is not prolonged ends with its life.
    return this.issueUntil(kind, principal, Math.min(lifeEndMs, endMs), endMs, before?.id);
  }

  /** A session that is prolonged until `endMs` at the most. */
  begin(principal: Principal, lifeMs: number, longestMs: number): IssuedToken {
    const nowMs = this.clock.wallMs();
    return this.issueUntil('session', principal, nowMs + lifeMs, nowMs + longestMs);
  }

  /** @throws MqError UNAUTHORIZED, UNAVAILABLE */
  read(kind: TokenKind, token: string): ReadToken {
    const payload = this.payloadIn(token);
    if (payload?.kind !== kind) throw new MqError('UNAUTHORIZED', 'the token is not of this cluster; log in again');
    if (payload.untilMs <= this.clock.wallMs() || this.revoked.has(payload.id)) {
      throw new MqError('UNAUTHORIZED', 'the token has ended; log in again');
    }
    const { untilMs, endMs, id } = payload;
    return { principal: this.principalIn(payload), untilMs, endMs, id };
  }

  /** @throws MqError UNAUTHORIZED, UNAVAILABLE */
  private principalIn({
    user,
    roles,
    secretVersion,
  }: {
    readonly user: string;
    readonly roles?: readonly string[] | undefined;
    readonly secretVersion: number;
  }): Principal {
    if (roles !== undefined) return this.external.of({ name: user, roles });
    this.book.checkReady(); // Else a token would end with a user that is there all the same.
    const principal = this.book.principal(user);
    if (principal?.user?.secretVersion === secretVersion) return principal;
    throw new MqError('UNAUTHORIZED', 'the token has ended with its user or its secret; log in again');
  }

  /** Who was let in by a token, as it is now, whatever became of the token. @throws MqError UNAUTHORIZED */
  renewed({ name, roles, user }: Principal): Principal {
    return this.principalIn({ user: name, roles, secretVersion: user?.secretVersion ?? 0 });
  }

  /** Of somebody whom an identity provider has told of. */
  externalPrincipal(identity: ExternalIdentity): Principal {
    return this.external.of(identity);
  }

  /**
   * In this process; elsewhere it ends with its time.
   *
   * @throws MqError TOO_MANY_REQUESTS while as many are remembered as may be: none of those may come to life again
   */
  revoke({ id, endMs }: Pick<ReadToken, 'id' | 'endMs'>): void {
    const nowMs = this.clock.wallMs();
    if (this.revoked.size >= this.revokedMax) {
      for (const [old, untilMs] of this.revoked) if (untilMs <= nowMs) this.revoked.delete(old);
      if (this.revoked.size >= this.revokedMax)
        throw new MqError('TOO_MANY_REQUESTS', 'too many have logged out lately; the token ends with its time');
    }
    this.revoked.set(id, endMs);
    for (const listener of [...this.listeners]) listener();
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
    untilMs: number,
    endMs: number,
    id?: string,
  ): IssuedToken {
    const payload: Payload = {
      kind,
      user: name,
      secretVersion: user?.secretVersion ?? 0,
      ...(roles && { roles }),
      untilMs,
      endMs,
      id: id ?? randomBytes(9).toString('base64url'),
    };
    const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
    const mac = macOf(this.keys[0]?.key ?? Buffer.alloc(0), `${prefix}.${text}`).toString('base64url');
    return { token: `${prefix}.${text}.${mac}`, untilMs, id: payload.id };
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
