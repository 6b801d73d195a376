/**
 * The team's identity provider, by OpenID Connect: its discovery document, its keys, a browser's login by the code flow with
 * PKCE, and tokens that programs bring. What it says of somebody is a name and groups; which roles these have is set here.
 *
 * Nothing is asked of it before somebody logs in, so one that is away keeps nobody else out. Its keys are fetched again when a
 * token names one that is not known.
 */
import { createHash } from 'node:crypto';

import { type ExternalIdentity, externalIdentity, type RolesOfGroups } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';
import type { JWTVerifyGetKey } from 'jose';
import type { Configuration } from 'openid-client';

export interface OidcOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined: a public client, which PKCE alone protects. */
  readonly clientSecret: string | undefined;
  /** Where browsers reach the console. */
  readonly consoleUrl: string;
  readonly scopes: readonly string[];
  /** Whose name a claim holds; where it is missing, `sub` stands for it. */
  readonly nameClaim: string;
  readonly groupsClaim: string;
  readonly roles: RolesOfGroups;
  /** Of tokens that programs bring, beside the client's own id. */
  readonly audiences: readonly string[];
  /** A public client for `comet login --oidc`; undefined: there is none. */
  readonly deviceClientId: string | undefined;
  /** How long a login here is good for at the most. */
  readonly loginMsMax: number;
  /** How often its keys may be fetched anew. */
  readonly keysAgainMs?: number;
}

/** What a browser's login has to come back with. */
export interface LoginChecks {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

interface Found {
  readonly config: Configuration;
  readonly keys: JWTVerifyGetKey;
}

const requestSecondsMax = 10;
/** Somebody looks at a page that does not change meanwhile. */
const answerMsMax = 5_000;
const clockToleranceSeconds = 30;
const tokenLengthMax = 16_384;
/** No algorithm whose key the client's secret is. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout';
/** A provider tells of a logout at once, or within its own retries. */
const logoutMsMax = 10 * 60_000;

/** A login ends with its session at the provider, or where that was not named to us with one of the same person. */
const anyOf = (sub: string): string => `all of ${sub}`;
const someSessionOf = (sub: string): string => `a session of ${sub}`;
const sessionId = (sid: string): string => `session ${sid}`;

const noLogout = (): MqError =>
  new MqError('UNAUTHORIZED', 'the token is no logout token: events, jti, and sub or sid are needed, and no nonce');

export const callbackPath = '/api/v1/session/oidc/callback';

export class OidcProvider {
  private found: Promise<Found> | undefined;

  constructor(readonly options: OidcOptions) {}

  /** Where the browser is to go, and what is to be kept of it until it is back. @throws MqError UNAVAILABLE */
  async begin(): Promise<{ readonly url: string; readonly checks: LoginChecks }> {
    const { config } = await this.discovered();
    await this.answers(config);
    const openid = await import('openid-client');
    const checks = {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      verifier: openid.randomPKCECodeVerifier(),
    };
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: this.redirectUrl,
      scope: this.options.scopes.join(' '),
      response_type: 'code',
      state: checks.state,
      nonce: checks.nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(checks.verifier),
      code_challenge_method: 'S256',
    });
    return { url: url.href, checks };
  }

  /**
   * The browser is back.
   * @param query with its `?`
   * @throws MqError UNAUTHORIZED, FORBIDDEN, UNAVAILABLE
   */
  async finish(query: string, { state, nonce, verifier }: LoginChecks): Promise<ExternalIdentity> {
    const { config } = await this.discovered();
    const openid = await import('openid-client');
    try {
      const tokens = await openid.authorizationCodeGrant(config, new URL(`${this.redirectUrl}${query}`), {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      const claims = await this.verified(tokens.id_token ?? '', [this.options.clientId]);
      const tellsMore = config.serverMetadata().userinfo_endpoint !== undefined;
      if (claims[this.options.groupsClaim] !== undefined || !tellsMore) return this.identityIn(claims);
      // Many providers tell of groups there alone.
      const more = await openid.fetchUserInfo(config, tokens.access_token, String(claims['sub']));
      return this.identityIn({ ...claims, ...more });
    } catch (caught) {
      throw this.told(caught);
    }
  }

  /** Of a program that brings an ID token, or an access token that is a JWT. @throws MqError UNAUTHORIZED, FORBIDDEN, UNAVAILABLE */
  async bearer(token: string): Promise<ExternalIdentity & { readonly untilMs: number; readonly issuedMs: number }> {
    const { clientId, audiences, deviceClientId } = this.options;
    const taken = [clientId, ...audiences, ...(deviceClientId === undefined ? [] : [deviceClientId])];
    try {
      const claims = await this.verified(token, taken);
      const untilMs = (Number(claims['exp']) + clockToleranceSeconds) * 1_000;
      const issuedMs = typeof claims['iat'] === 'number' ? claims['iat'] * 1_000 : 0;
      return { ...this.identityIn(claims), untilMs, issuedMs };
    } catch (caught) {
      throw this.told(caught);
    }
  }

  /**
   * The provider says that somebody has logged out there (OpenID Connect Back-Channel Logout 1.0).
   * @returns what is to be ended, and until when what it ends would be good: what was begun after the logout goes on
   * @throws MqError UNAUTHORIZED, UNAVAILABLE
   */
  async logout(
    token: string,
  ): Promise<{ readonly ids: readonly string[]; readonly untilMs: number; readonly jti: string }> {
    const { clientId, loginMsMax } = this.options;
    try {
      const claims = await this.signed(token, [clientId], ['iat', 'jti', 'events'], logoutMsMax / 1_000);
      const { sub, sid, jti, iat, events, nonce } = claims;
      const isLogout = typeof events === 'object' && events !== null && Object.hasOwn(events, logoutEvent);
      // One with a nonce is an ID token.
      if (!isLogout || nonce !== undefined || typeof jti !== 'string' || jti === '') throw noLogout();
      const isText = (claim: unknown): claim is string => typeof claim === 'string' && claim !== '';
      const named = [
        ...(isText(sid) ? [sessionId(sid)] : []),
        ...(isText(sub) ? [isText(sid) ? someSessionOf(sub) : anyOf(sub)] : []),
      ];
      if (named.length === 0) throw noLogout();
      const ids = named.map((name) => this.digest(name));
      return { ids, untilMs: (Number(iat) + 1) * 1_000 - 1 + loginMsMax, jti };
    } catch (caught) {
      throw this.told(caught);
    }
  }

  private digest(name: string): string {
    return createHash('sha256').update(`${this.options.issuer}\n${name}`).digest('base64url').slice(0, 32);
  }

  /** Or the browser would be sent to where nobody answers, and its user be told by the browser alone. @throws MqError UNAVAILABLE */
  private async answers(config: Configuration): Promise<void> {
    const { jwks_uri: keysUrl = '' } = config.serverMetadata();
    try {
      const { ok, status, body } = await fetch(keysUrl, { signal: AbortSignal.timeout(answerMsMax) });
      await body?.cancel();
      if (!ok) throw new Error(`HTTP ${status} of ${keysUrl}`);
    } catch (caught) {
      throw this.told(caught);
    }
  }

  private get redirectUrl(): string {
    return `${this.options.consoleUrl.replace(/\/+$/, '')}${callbackPath}`;
  }

  private async verified(token: string, audience: string[]): Promise<Readonly<Record<string, unknown>>> {
    const claims = await this.signed(token, audience, ['exp', 'sub']);
    // Told by the same provider to the same client, but of something that has happened: no proof of who somebody is.
    if (claims['events'] !== undefined)
      throw new MqError('UNAUTHORIZED', 'the token tells of an event, not of a login');
    return claims;
  }

  private async signed(
    token: string,
    audience: string[],
    requiredClaims: string[],
    maxTokenAge?: number,
  ): Promise<Readonly<Record<string, unknown>>> {
    if (token.length > tokenLengthMax) throw new MqError('UNAUTHORIZED', 'the token is too long');
    const { keys, config } = await this.discovered();
    const { jwtVerify } = await import('jose');
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer: config.serverMetadata().issuer, audience, algorithms, clockTolerance: clockToleranceSeconds },
      ...{ requiredClaims, ...(maxTokenAge !== undefined && { maxTokenAge }) },
    });
    return payload;
  }

  private identityIn(claims: Readonly<Record<string, unknown>>): ExternalIdentity {
    const { nameClaim, groupsClaim, roles } = this.options;
    const name = claims[nameClaim];
    const groups = claims[groupsClaim];
    const listed = typeof groups === 'string' ? [groups] : Array.isArray(groups) ? groups : [];
    const { sub, sid } = claims;
    const session = typeof sid === 'string' && sid !== '' ? sessionId(sid) : someSessionOf(String(sub));
    const identity = externalIdentity(
      typeof name === 'string' && name !== '' ? name : String(claims['sub']),
      listed.filter((group): group is string => typeof group === 'string'),
      roles,
    );
    return { ...identity, endedBy: [anyOf(String(sub)), session].map((one) => this.digest(one)) };
  }

  /** Asked once; after a failure, at the next login again. @throws MqError UNAVAILABLE */
  private async discovered(): Promise<Found> {
    this.found ??= this.discover();
    const { found } = this;
    try {
      return await found;
    } catch (caught) {
      if (this.found === found) this.found = undefined;
      throw this.told(caught);
    }
  }

  private async discover(): Promise<Found> {
    const { issuer, clientId, clientSecret, keysAgainMs = 10_000 } = this.options;
    const [openid, jose] = await Promise.all([import('openid-client'), import('jose')]);
    const url = new URL(issuer);
    const signsIn = clientSecret === undefined ? openid.None() : openid.ClientSecretBasic(clientSecret);
    const config = await openid.discovery(url, clientId, clientSecret, signsIn, {
      timeout: requestSecondsMax,
      // The settings allow that on loopback addresses alone, which is what it is marked for.
      // eslint-disable-next-line @typescript-eslint/no-deprecated
      ...(url.protocol === 'http:' && { execute: [openid.allowInsecureRequests] }),
    });
    const { jwks_uri: keysUrl } = config.serverMetadata();
    if (keysUrl === undefined) throw new MqError('UNAVAILABLE', `the identity provider ${issuer} names no keys`);
    const keys = jose.createRemoteJWKSet(new URL(keysUrl), {
      timeoutDuration: requestSecondsMax * 1_000,
      cooldownDuration: keysAgainMs,
    });
    return { config, keys };
  }

  /** Whether it is the provider that is away, or what was brought that is wrong; of the latter, why. */
  private told(caught: unknown): MqError {
    if (caught instanceof MqError) return caught;
    const { issuer } = this.options;
    const { code, error } = (caught ?? {}) as { readonly code?: unknown; readonly error?: unknown };
    if (typeof error === 'string' && !passing.has(error)) {
      return new MqError('UNAUTHORIZED', `the identity provider ${issuer} refused the login: ${error.slice(0, 64)}`);
    }
    const why = typeof code === 'string' ? tokenFaults[code] : undefined;
    if (why !== undefined) return new MqError('UNAUTHORIZED', `the login by ${issuer} can't be used: ${why}`);
    return new MqError(
      'UNAVAILABLE',
      `the identity provider ${issuer} does not answer, or not as it should; users of this cluster log in as ever`,
      { cause: caught },
    );
  }
}

/** What a provider says that is not well itself. */
const passing = new Set(['server_error', 'temporarily_unavailable']);

/** Codes of jose and openid-client by which it is what was brought that is wrong. */
const tokenFaults: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'the token has ended; log in again',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'the token is for somebody else, or not for now',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'the token has a wrong signature',
  ERR_JWS_INVALID: 'it is no token',
  ERR_JWT_INVALID: 'it is no token',
  ERR_JWKS_NO_MATCHING_KEY: 'the token is signed by no key of the provider',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'the token does not say which key has signed it',
  ERR_JOSE_ALG_NOT_ALLOWED: 'the token is signed in a way that is not taken',
  ERR_JOSE_NOT_SUPPORTED: 'the token is signed in a way that is not taken',
  OAUTH_INVALID_RESPONSE: 'the answer is not the one that was asked for',
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: 'the answer is not the one that was asked for',
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: 'the clocks of the provider and of this process differ',
};
