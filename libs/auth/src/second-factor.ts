/**
 * The second factor of people who log in with a user's secret: a time-based code (RFC 6238) of an app that shares a key with us.
 * Off until a user sets one up; programs that sign their calls are not asked for it.
 *
 * Each code is taken once, by all processes together: the metadata keeps the last time step that one was taken for, and takes none
 * at or before it. Recovery codes stand in for a lost app, each once; of these the metadata keeps digests. Who guesses codes has to
 * know the user's secret first, and is then stopped by user, wherever the guesses come from.
 */
import { createHash, randomBytes } from 'node:crypto';

import { printable, type SealedSecret, type SecondFactorChange, type User, type UserChange } from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';
import { Secret as Key, TOTP } from 'otpauth';

import type { Authenticator } from './authenticator.js';
import type { IdentityBook } from './identity-book.js';
import type { Principal } from './principal.js';
import { Secret, type SecretBox } from './secrets.js';
import { TokenBuckets } from './token-bucket.js';

const periodMs = 30_000;
const keyBytes = 20;
/** The clock of a phone may be so many steps off. */
const stepsOff = 1;
export const recoveryCodes = 10;
const recoveryLetters = 16;
/** How long somebody may take to add the key to an app. */
const enrolMsMax = 10 * 60_000;
/** Wrong codes by user; then one each five minutes is looked at. */
const wrongCodes = { perSecond: 1 / 300, burst: 10 };
const usersKeptMax = 10_000;

/** What somebody logs in with. */
export interface LoginGiven {
  readonly user: string;
  readonly secret: string;
  /** Of the app, or a recovery code. */
  readonly code?: string | undefined;
}

export interface Enrolment {
  /** In base32, as apps take it. */
  readonly key: string;
  /** The same for a QR code. */
  readonly uri: string;
  /** To be brought back with a first code; until then nothing is changed. */
  readonly pending: string;
}

export interface SecondFactorOptions {
  readonly book: IdentityBook;
  readonly box: SecretBox;
  readonly clock: Clock;
  readonly authenticator: Authenticator;
  readonly update: (name: string, change: UserChange) => Promise<User>;
  /** Super users are not let in without one. */
  readonly requiredOfSuper: boolean;
}

interface Pending {
  readonly key: string;
  readonly untilMs: number;
  /** When the one was set up that this one takes the place of; 0: there was none. */
  readonly replaces: number;
}

export class SecondFactor {
  private readonly wrong = new TokenBuckets(wrongCodes.perSecond, wrongCodes.burst, usersKeptMax);

  constructor(private readonly options: SecondFactorOptions) {}

  /** @throws MqError UNAUTHORIZED, TOO_MANY_REQUESTS, UNAVAILABLE */
  async login(given: LoginGiven, peer: string): Promise<Principal> {
    const principal = await this.known(given, peer);
    if (!principal.user?.totp && principal.isSuper && this.options.requiredOfSuper) {
      throw new MqError(
        'UNAUTHORIZED',
        `super user ${given.user} needs a second factor, and has none yet: comet user totp, or the console, sets one up`,
      );
    }
    return principal;
  }

  /** Who has one already says a code of it, too. @throws as `login` */
  async begin(given: LoginGiven, issuer: string, peer: string): Promise<Enrolment> {
    const { clock, box } = this.options;
    const { user } = await this.known(given, peer);
    const key = new Key({ buffer: Uint8Array.from(randomBytes(keyBytes)).buffer }).base32;
    const uri = new TOTP({ issuer, label: given.user, secret: key }).toString();
    const replaces = user?.totp?.enrolledMs ?? 0;
    const pending: Pending = { key, untilMs: clock.wallMs() + enrolMsMax, replaces };
    const { keyId, box: sealed } = box.seal(new Secret(JSON.stringify(pending)), pendingOwner(given.user));
    return { key, uri, pending: `${keyId}.${sealed}` };
  }

  /**
   * A first code shows that the app has the key.
   * @returns recovery codes, which nobody is told again
   * @throws as `login`; CONFLICT when another one was set up meanwhile
   */
  async finish({ user, secret, code = '' }: LoginGiven, pending: string, peer: string): Promise<readonly string[]> {
    const { authenticator, box, clock } = this.options;
    const { user: known } = authenticator.login(user, secret, peer);
    const { key, replaces } = this.pendingIn(pending, user);
    this.admit(user);
    const step = stepOf(key, code, clock.wallMs());
    if (step === undefined) return this.refuse(user, peer);
    const codes = Array.from({ length: recoveryCodes }, newRecoveryCode);
    const enrolledMs = clock.wallMs();
    const totp = {
      secret: box.seal(new Secret(key), keyOwner(user)),
      recovery: codes.map(digestOf),
      lastStep: step,
      enrolledMs,
    };
    const set = { kind: 'set', totp, replaces } as const;
    const changed = await this.options.update(user, { secondFactor: set, secretWas: known?.secret.box });
    if (changed.totp?.enrolledMs !== enrolledMs) throw tooOld();
    return codes;
  }

  /** It is not asked for any more. @throws as `login` */
  async end(given: LoginGiven, peer: string): Promise<void> {
    const { isSuper } = await this.known(given, peer);
    if (isSuper && this.options.requiredOfSuper) {
      throw new MqError('FORBIDDEN', 'super users need a second factor here: set up another one in its place');
    }
    await this.options.update(given.user, { secondFactor: { kind: 'none' } });
  }

  /** Its key under the newest key of the key file; undefined: there is none. @throws MqError CONFIG */
  resealed({ name, totp }: User): SecondFactorChange | undefined {
    const { box } = this.options;
    if (!totp) return undefined;
    const secret = box.seal(box.open(totp.secret, keyOwner(name)), keyOwner(name));
    return { kind: 'resealed', secret, replaces: totp.secret.box };
  }

  /** By secret, and by code where the user has a second factor. */
  private async known({ user: name, secret, code }: LoginGiven, peer: string): Promise<Principal> {
    const { authenticator } = this.options;
    const principal = authenticator.login(name, secret, peer);
    const { user } = principal;
    if (!user?.totp) {
      authenticator.loggedIn(name, peer);
      return principal;
    }
    if (code === undefined || code === '') {
      throw new MqError('UNAUTHORIZED', `user ${name} has a second factor: give a code of its app, or a recovery code`);
    }
    const change = this.changeBy(user.name, user.totp, code, peer);
    try {
      const { totp } = await this.options.update(name, { secondFactor: change });
      if (change.kind === 'taken' && (totp?.lastStep ?? 0) < change.step) throw tooOld();
    } catch (caught) {
      if (MqError.from(caught).code === 'CONFLICT') return this.refuse(name, peer); // Another process has taken it.
      throw caught;
    }
    authenticator.loggedIn(name, peer);
    return principal;
  }

  /** What taking the code changes. */
  private changeBy(
    name: string,
    { secret, recovery, lastStep }: NonNullable<User['totp']>,
    code: string,
    peer: string,
  ): Extract<SecondFactorChange, { readonly kind: 'taken' | 'recovered' }> {
    const { box, clock } = this.options;
    this.admit(name);
    const step = stepOf(box.open(secret, keyOwner(name)).reveal(), code, clock.wallMs());
    if (step !== undefined && step > lastStep) return { kind: 'taken', step };
    const digest = digestOf(code);
    if (step === undefined && recovery.includes(digest)) return { kind: 'recovered', digest };
    return this.refuse(name, peer);
  }

  /** @throws MqError TOO_MANY_REQUESTS */
  private admit(user: string): void {
    const nowMs = this.options.clock.monotonicMs();
    const bucket = this.wrong.get(user);
    if (bucket?.isEmpty(nowMs) !== true) return;
    const seconds = Math.ceil(bucket.waitMs(1, nowMs) / 1000);
    throw new MqError('TOO_MANY_REQUESTS', `too many wrong codes for user ${user}; try again in ${seconds} s`);
  }

  private refuse(user: string, peer: string): never {
    const nowMs = this.options.clock.monotonicMs();
    this.wrong.of(user, nowMs).take(1, nowMs);
    this.options.authenticator.countWrongLogin(user, peer);
    throw new MqError('UNAUTHORIZED', 'the code is wrong, or was used before: wait for the next one');
  }

  /** @throws MqError UNAUTHORIZED */
  private pendingIn(text: string, user: string): Pending {
    const { box, clock } = this.options;
    const at = text.lastIndexOf('.');
    try {
      const sealed: SealedSecret = { keyId: text.slice(0, Math.max(at, 0)), box: text.slice(at + 1) };
      const pending = JSON.parse(box.open(sealed, pendingOwner(user)).reveal()) as Pending;
      if (pending.untilMs > clock.wallMs()) return pending;
    } catch {
      // Said below.
    }
    throw new MqError(
      'UNAUTHORIZED',
      `user ${printable(user)} began no second factor in the last ten minutes; begin again`,
    );
  }
}

/** No box does for another purpose, nor for another user. */
const keyOwner = (user: string): string => `the second factor of ${user}`;
const pendingOwner = (user: string): string => `a second factor that ${user} sets up`;

/** The time step that a code is for; undefined: none about now. */
function stepOf(key: string, code: string, nowMs: number): number | undefined {
  const token = code.replaceAll(/\s/g, '');
  if (!/^\d{6}$/.test(token)) return undefined;
  const delta = new TOTP({ secret: key }).validate({ token, timestamp: nowMs, window: stepsOff });
  return delta === null ? undefined : Math.floor(nowMs / periodMs) + delta;
}

const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789'; // Without letters that look like others.

function newRecoveryCode(): string {
  const letters = [...randomBytes(64)].filter((byte) => byte < 8 * alphabet.length).slice(0, recoveryLetters);
  const text = letters.map((byte) => alphabet[byte % alphabet.length]).join('');
  return text.replaceAll(/(.{4})(?!$)/g, '$1-');
}

function digestOf(code: string): string {
  return createHash('sha256').update(code.toLowerCase().replaceAll(/[\s-]/g, '')).digest('hex');
}

function tooOld(): MqError {
  return new MqError(
    'UNAVAILABLE',
    'the name service does not know of second factors yet; try again when it is upgraded',
  );
}
