/**
 * Who a request is from. What has been checked once is remembered by the whole header, so a client that repeats its
 * signature is known by a look into a map; a change of the user ends that.
 *
 * An unknown user and a wrong signature get the same answer, for the same work. Whoever fails too often is not checked
 * any more for a while: first with that user from that address, then all that is new from that address, of IPv6 from its /64. Others notice
 * nothing, and neither do those who share the address, as behind a gateway: official clients sign anew each second, so a
 * connection goes on with the user it came with, and a user who was let in lately may come from the address again.
 */
import { MqError, type Clock } from '@cometmq/shared';

import type { Access, SignedCall } from './access.js';
import { hostOf, networkOf } from './address.js';
import type { IdentityBook } from './identity-book.js';
import { GrowingDelays } from './login-delays.js';
import type { Principal } from './principal.js';
import { Nonces } from './nonces.js';
import { RecentKeys } from './recent-keys.js';
import { Secret } from './secrets.js';
import {
  authorizationIn,
  officialSignature,
  ownAlgorithm,
  ownSignature,
  sameSignature,
  signedTime,
  type Authorization,
} from './signatures.js';
import { TokenBuckets } from './token-bucket.js';

export interface AuthenticatorOptions {
  readonly book: IdentityBook;
  readonly clock: Clock;
  /** How far a signature's time may be from this clock; 0: not looked at, as RocketMQ does. */
  readonly ageMsMax: number;
  /** Whether a time without a zone may be the local one of anywhere on earth. */
  readonly localTimes: boolean;
}

interface Known {
  readonly dateTime: string;
  readonly user: string;
  readonly secretVersion: number;
  readonly createdMs: number;
  readonly untilMs: number;
  principal: Principal;
  /** Connections that it has come by: clients of one user sign alike within a second. */
  readonly peers: Set<string>;
}

const knownMax = 20_000;
const trustedMax = 40_000;
const peersMax = 256;
const headerLengthMax = 1_024;
const hour = 3_600_000;
/** Zones reach from UTC-12 to UTC+14. */
const zoneMsMin = -12 * hour;
const zoneMsMax = 14 * hour;
const nobody = new Secret('nobody has this secret, and nobody ever will: it is for taking the same time');

const failuresOfPair = { perSecond: 1, burst: 20 };
const failuresOfNetwork = { perSecond: 20, burst: 200 };
const failureKeysMax = 50_000;
const minute = 60_000;
const wrongLogins = { free: 5, firstMs: 12_000, longestMs: minute, oneLessMs: 5 * minute };

export class Authenticator implements Access {
  /** Requests that were refused, by why. */
  readonly refused = { anonymous: 0, wrong: 0, tooMany: 0, time: 0 };
  private known = new Map<string, Known>();
  private knownBefore = new Map<string, Known>();
  /** `<network> <user>` and `<connection> <user>` that a right signature has come from. */
  private readonly trusted = new RecentKeys(trustedMax);
  private readonly nonces: Nonces;
  private readonly pairs = new TokenBuckets(failuresOfPair.perSecond, failuresOfPair.burst, failureKeysMax);
  /** By `<network> <user>`. */
  private readonly logins = new GrowingDelays(wrongLogins, failureKeysMax);
  private readonly networks = new TokenBuckets(failuresOfNetwork.perSecond, failuresOfNetwork.burst, failureKeysMax);

  constructor(private readonly options: AuthenticatorOptions) {
    this.nonces = new Nonces(options.clock, 2 * ownWindowMs(options.ageMsMax));
  }

  /** @throws MqError UNAUTHORIZED, TOO_MANY_REQUESTS; UNAVAILABLE while this process does not know who there is */
  principalOf(call: SignedCall, path: string, body: Uint8Array): Principal {
    const header = call.headers.get('authorization');
    if (header === undefined || header === '') return this.anonymous();
    const known = this.known.get(header) ?? this.knownBefore.get(header);
    if (known !== undefined && known.untilMs > this.options.clock.wallMs()) {
      const isSame = known.dateTime === call.headers.get('x-mq-date-time');
      const principal = isSame && known.principal.current ? known.principal : this.knownAgain(known, call);
      if (principal) {
        if (!known.peers.has(call.peer)) this.trustPeer(known, call.peer);
        return principal;
      }
    }
    return this.check(call, header, path, body);
  }

  private trustPeer({ peers, user }: Known, peer: string): void {
    if (peers.size >= peersMax) peers.clear();
    peers.add(peer);
    this.trusted.add(`${peer} ${user}`);
  }

  /** Policies have changed, and the signature is as good as before. */
  private knownAgain(known: Known, call: SignedCall): Principal | undefined {
    const principal = this.options.book.principal(known.user);
    if (principal?.user?.secretVersion !== known.secretVersion) return undefined;
    if (principal.user.createdMs !== known.createdMs) return undefined; // A later one of the same name.
    if (known.dateTime !== call.headers.get('x-mq-date-time')) return undefined;
    known.principal = principal;
    return principal;
  }

  renewed(principal: Principal): Principal | undefined {
    if (principal.current) return principal;
    const now = this.options.book.principal(principal.name);
    const isSame = now?.user?.createdMs === principal.user?.createdMs;
    return isSame && now?.user?.secretVersion === principal.user?.secretVersion ? now : undefined;
  }

  onChange(listener: () => void): () => void {
    return this.options.book.onChange(listener);
  }

  /**
   * A user's name and secret, as somebody who logs in gives them. After five wrong ones from a network the next is looked at after a
   * while, which grows; elsewhere the user comes in as ever. There is no such delay of a user wherever logins come from: by it
   * anybody could keep anybody out.
   *
   * @throws MqError UNAUTHORIZED, TOO_MANY_REQUESTS, UNAVAILABLE
   */
  login(user: string, secret: string, peer: string): Principal {
    this.options.book.checkReady();
    this.admit(user, peer);
    this.admitLogin(user, peer);
    const expected = this.options.book.secretOf(user);
    // Digests, so that the time taken says nothing of the length.
    const isRight = sameSignature(
      officialSignature(new Secret(secret), 'login'),
      officialSignature(expected ?? nobody, 'login'),
    );
    const principal = isRight && expected ? this.options.book.principal(user) : undefined;
    if (principal) return principal;
    this.failLogin(user, peer);
    return this.wrong(user, peer);
  }

  /** A right secret with a wrong second factor is a wrong login, too. */
  countWrongLogin(user: string, peer: string): void {
    this.failLogin(user, peer);
    this.refused.wrong += 1;
  }

  /** Somebody has said all that is asked for: what failed before was a slip. */
  loggedIn(user: string, peer: string): void {
    const pair = pairOf(user, peer);
    this.logins.forget(pair);
    this.trusted.add(pair);
  }

  private failLogin(user: string, peer: string): void {
    const nowMs = this.options.clock.monotonicMs();
    this.logins.failed(pairOf(user, peer), nowMs);
  }

  /** @throws MqError TOO_MANY_REQUESTS */
  private admitLogin(user: string, peer: string): void {
    const nowMs = this.options.clock.monotonicMs();
    const pair = pairOf(user, peer);
    const waitMs = this.logins.waitMs(pair, nowMs);
    if (waitMs === 0) return;
    this.refused.tooMany += 1;
    throw new MqError('TOO_MANY_REQUESTS', `too many wrong logins; try again in ${Math.ceil(waitMs / 1_000)} s`);
  }

  private anonymous(): never {
    this.refused.anonymous += 1;
    throw new MqError('UNAUTHORIZED', 'this cluster has users: give the client an access key and its secret');
  }

  private check(call: SignedCall, header: string, path: string, body: Uint8Array): Principal {
    const said = header.length > headerLengthMax ? undefined : authorizationIn(header);
    if (!said) return this.anonymous();
    this.options.book.checkReady();
    this.admit(said.user, call.peer);
    const dateTime = call.headers.get('x-mq-date-time') ?? '';
    const secret = this.options.book.secretOf(said.user);
    const isOwn = said.algorithm === ownAlgorithm;
    // The official check looks at no name of an algorithm, so neither do we, ours aside.
    const expected = isOwn
      ? ownSignature(secret ?? nobody, { path, dateTime, nonce: said.nonce, body })
      : officialSignature(secret ?? nobody, dateTime);
    const isRight = dateTime !== '' && sameSignature(said.signature, expected);
    const principal = isRight && secret ? this.options.book.principal(said.user) : undefined;
    if (!principal) return this.wrong(said.user, call.peer);
    const untilMs = this.checkTime(dateTime, isOwn);
    if (isOwn) this.once(said, untilMs);
    this.trusted.add(`${call.peer} ${said.user}`);
    this.trusted.add(pairOf(said.user, call.peer));
    if (!isOwn)
      this.remember(header, {
        dateTime,
        user: said.user,
        secretVersion: principal.user?.secretVersion ?? 0,
        createdMs: principal.user?.createdMs ?? 0,
        untilMs,
        principal,
        peers: new Set([call.peer]),
      });
    return principal;
  }

  /** @returns until when the time is good. @throws MqError UNAUTHORIZED */
  private checkTime(dateTime: string, isOwn: boolean): number {
    const { ageMsMax, localTimes, clock } = this.options;
    const window = isOwn ? ownWindowMs(ageMsMax) : ageMsMax;
    if (window === 0) return Infinity;
    const nowMs = clock.wallMs();
    const time = signedTime(dateTime);
    if (!time || (isOwn && !time.zoned))
      return this.wrongTime(`x-mq-date-time "${dateTime.slice(0, 64)}" can't be read`);
    const anyZone = localTimes && !time.zoned;
    const early = nowMs - time.ms + (anyZone ? zoneMsMin : 0);
    const late = time.ms - nowMs - (anyZone ? zoneMsMax : 0);
    if (early <= window && late <= window) return nowMs + window - early;
    const skew = Math.round((time.ms - nowMs) / 1000);
    return this.wrongTime(
      `the request was signed for ${Math.abs(skew)} s ${skew < 0 ? 'before' : 'after'} this server's time; ` +
        `at most ${Math.round(window / 1000)} s are allowed: set the clocks`,
    );
  }

  private wrongTime(why: string): never {
    this.refused.time += 1;
    throw new MqError('UNAUTHORIZED', why);
  }

  /** @throws MqError UNAUTHORIZED when the same request has come before; TOO_MANY_REQUESTS when it may have */
  private once({ nonce, user }: Authorization, untilMs: number): void {
    const isNonce = /^[0-9a-zA-Z_-]{16,64}$/.test(nonce);
    const found = isNonce ? this.nonces.take(user, nonce, untilMs) : 'again';
    if (found === 'unsure') {
      this.refused.tooMany += 1;
      throw new MqError('TOO_MANY_REQUESTS', `user ${user} sends too much for a request this old: sign it anew`);
    }
    if (found === 'again') {
      this.refused.wrong += 1;
      throw new MqError('UNAUTHORIZED', 'a nonce has 16 to 64 letters and digits, and is used once');
    }
  }

  private remember(header: string, known: Known): void {
    if (this.known.size >= knownMax / 2) {
      this.knownBefore = this.known;
      this.known = new Map();
    }
    this.known.set(header, known);
  }

  /** @throws MqError TOO_MANY_REQUESTS */
  private admit(user: string, peer: string): void {
    const nowMs = this.options.clock.monotonicMs();
    const pair = pairOf(user, peer);
    const pairIsDue = this.pairs.get(pair)?.isEmpty(nowMs) !== true;
    const networkIsDue = this.networks.get(networkOf(peer))?.isEmpty(nowMs) !== true;
    if (pairIsDue && (networkIsDue || this.trusted.has(pair))) return;
    // Without a port it is an address, and no connection.
    if (peer !== hostOf(peer) && this.trusted.has(`${peer} ${user}`)) return;
    this.refused.tooMany += 1;
    throw new MqError(
      'TOO_MANY_REQUESTS',
      'too many requests with wrong credentials came from this address; try again in a few seconds',
    );
  }

  private wrong(user: string, peer: string): never {
    const nowMs = this.options.clock.monotonicMs();
    this.pairs.of(pairOf(user, peer), nowMs).take(1, nowMs);
    this.networks.of(networkOf(peer), nowMs).take(1, nowMs);
    if (peer !== hostOf(peer)) this.trusted.delete(`${peer} ${user}`); // A connection; whoever is at an address may say a name.
    this.refused.wrong += 1;
    throw new MqError('UNAUTHORIZED', 'the access key or its secret is wrong, or the user is disabled');
  }
}

/** What somebody fails, or is trusted, by: a user's name, and where it is said. */
function pairOf(user: string, peer: string): string {
  return `${networkOf(peer)} ${user.slice(0, userLengthMax)}`;
}
/** Longer ones are nobody's. */
const userLengthMax = 128;

/** Our own signature is never good for ever. */
function ownWindowMs(ageMsMax: number): number {
  return ageMsMax === 0 ? 15 * 60_000 : ageMsMax;
}
