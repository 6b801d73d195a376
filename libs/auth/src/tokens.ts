/**
 * Bearer tokens, made at login and good for a while: `comet1.<payload>.<mac>`, both base64url. Nothing is stored; the keys are
 * made from those of the key file, so every process that has it can read them. A token ends with its time, with the user, and
 * with the user's secret.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import { MqError, type Clock } from '@cometmq/shared';

import type { IdentityBook } from './identity-book.js';
import type { Principal } from './principal.js';
import type { SecretBox } from './secrets.js';

const prefix = 'comet1';
const tokenLengthMax = 1_024;

interface Payload {
  readonly user: string;
  readonly secretVersion: number;
  readonly untilMs: number;
  readonly id: string;
}

export interface IssuedToken {
  readonly token: string;
  readonly untilMs: number;
}

export class BearerTokens {
  private readonly keys: readonly { readonly keyId: string; readonly key: Buffer }[];

  constructor(
    box: SecretBox,
    private readonly book: IdentityBook,
    private readonly clock: Clock,
  ) {
    this.keys = box.derived('bearer tokens');
  }

  issue(principal: Principal, lifeMs: number): IssuedToken {
    const untilMs = this.clock.wallMs() + lifeMs;
    const payload: Payload = {
      user: principal.name,
      secretVersion: principal.user?.secretVersion ?? 0,
      untilMs,
      id: randomBytes(9).toString('base64url'),
    };
    const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
    const mac = macOf(this.keys[0]?.key ?? Buffer.alloc(0), text).toString('base64url');
    return { token: `${prefix}.${text}.${mac}`, untilMs };
  }

  /** @throws MqError UNAUTHORIZED */
  principalOf(token: string): Principal {
    const payload = this.payloadIn(token);
    if (!payload) throw new MqError('UNAUTHORIZED', 'the token is not of this cluster; log in again');
    if (payload.untilMs <= this.clock.wallMs()) throw new MqError('UNAUTHORIZED', 'the token has ended; log in again');
    const principal = this.book.principal(payload.user);
    if (principal?.user?.secretVersion !== payload.secretVersion) {
      throw new MqError('UNAUTHORIZED', 'the token has ended with its user or its secret; log in again');
    }
    return principal;
  }

  private payloadIn(token: string): Payload | undefined {
    const [head, text = '', mac = '', ...rest] = token.length > tokenLengthMax ? [] : token.split('.');
    if (head !== prefix || rest.length > 0) return undefined;
    const given = Buffer.from(mac, 'base64url');
    const isOurs = this.keys.some(({ key }) => {
      const expected = macOf(key, text);
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
    return isOurs ? (JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Payload) : undefined;
  }
}

function macOf(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(`${prefix}.${text}`).digest();
}
