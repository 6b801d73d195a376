import type {
  ApiToken,
  ApiTokenChange,
  RevokedToken,
  SealedSecret,
  SecondFactorChange,
  User,
  UserChange,
  UserDraft,
  UserKind,
  UserQuota,
  UserTotp,
} from '@cometmq/model';
import { printable, userKinds } from '@cometmq/model';
import { MqError, unreachable } from '@cometmq/shared';

import { checkedPolicies } from './policies.js';

export const usersMax = 20_000;
/** Of one user. */
export const apiTokensMax = 32;
export const apiTokenMsMax = 366 * 24 * 3_600_000;
const tokenScopeMax = 64;
/** Of JSON: a user's record is written whole, and told to every process. */
const tokenScopeCharsMax = 4_096;
const tokensCharsMax = 32_768;
const nameAlphabet = /^[a-zA-Z0-9_.@-]+$/;
const nameLengthMax = 64;
const secretLengthMin = 8;
const secretLengthMax = 256;

/** @throws MqError BAD_REQUEST */
export function userName(text: string): string {
  if (text.length > 0 && text.length <= nameLengthMax && nameAlphabet.test(text)) return text;
  throw new MqError(
    'BAD_REQUEST',
    `user "${text.slice(0, nameLengthMax)}": 1 to ${nameLengthMax} letters, digits, "_", ".", "@" and "-" are allowed`,
  );
}

/** @throws MqError BAD_REQUEST */
export function secretText(text: string): string {
  if (text.length >= secretLengthMin && text.length <= secretLengthMax && /^[\x21-\x7e]+$/.test(text)) return text;
  throw new MqError(
    'BAD_REQUEST',
    `a secret has ${secretLengthMin} to ${secretLengthMax} visible ASCII characters without spaces`,
  );
}

/** Revocations that are kept at once, until their tokens have ended by themselves. */
export const revokedTokensMax = 20_000;

/** @throws MqError BAD_REQUEST */
export function revokedToken({ id, untilMs }: RevokedToken): RevokedToken {
  if (/^[a-zA-Z0-9_-]{1,64}$/.test(id) && Number.isSafeInteger(untilMs) && untilMs > 0) return { id, untilMs };
  throw new MqError('BAD_REQUEST', 'a token to be ended is named by its id, and by when it ends by itself');
}

/** @throws MqError BAD_REQUEST */
export function newUser(draft: UserDraft, createdMs: number): User {
  const { kind, enabled, secret, adminFile } = draft;
  checkKind(kind);
  const name = userName(draft.name);
  return {
    ...{ name, kind, enabled, secret, secretVersion: 1, ...quotaOf(draft.quota) },
    ...(adminFile !== undefined && { adminFile }),
    createdMs,
  };
}

/** @throws MqError BAD_REQUEST; CONFLICT, where what the change was made from is not there any more */
export function changedUser(user: User, change: UserChange): User {
  const { quota, totp, tokens, ...rest } = user;
  if (change.kind !== undefined) checkKind(change.kind);
  const isNewSecret = change.secret !== undefined && change.resealed !== true;
  if (change.token?.kind === 'added' && !user.enabled) throw new MqError('CONFLICT', 'the user is disabled');
  if (change.secretWas !== undefined || change.resealed === true) checkWas(user.secret, change.secretWas);
  return {
    ...rest,
    kind: change.kind ?? user.kind,
    enabled: change.enabled ?? user.enabled,
    secret: change.secret ?? user.secret,
    secretVersion: user.secretVersion + Number(isNewSecret),
    ...quotaOf(change.quota ?? quota),
    ...totpOf(totp, change.secondFactor),
    ...(change.adminFile !== undefined && { adminFile: change.adminFile }),
    ...tokensOf(isNewSecret ? [] : (tokens ?? []), change.token),
  };
}

/** @throws MqError BAD_REQUEST; CONFLICT, where the name is taken or there are too many; NOT_FOUND */
function tokensOf(
  tokens: readonly ApiToken[],
  change: ApiTokenChange | undefined,
): { readonly tokens?: readonly ApiToken[] } {
  const left = changedTokens(tokens, change);
  return left.length > 0 ? { tokens: left } : {};
}

function changedTokens(tokens: readonly ApiToken[], change: ApiTokenChange | undefined): readonly ApiToken[] {
  if (!change) return tokens;
  if (change.kind === 'removed') {
    if (tokens.some(({ id }) => id === change.id)) return tokens.filter(({ id }) => id !== change.id);
    throw new MqError('NOT_FOUND', 'the user has no such token, or not any more');
  }
  const { token } = change;
  const good = tokens.filter(({ untilMs }) => untilMs > token.createdMs);
  if (good.some(({ name }) => name === token.name)) {
    throw new MqError(
      'CONFLICT',
      `the user has a token named "${printable(token.name)}": revoke it first, or take another name`,
    );
  }
  if (good.length >= apiTokensMax) {
    throw new MqError(
      'CONFLICT',
      `the user has ${good.length} tokens, as many as may be: revoke those that nobody needs`,
    );
  }
  const all = [...good, checkedToken(token)];
  if (JSON.stringify(all).length <= tokensCharsMax) return all;
  throw new MqError(
    'CONFLICT',
    'the tokens of the user have scopes that are too long together: revoke some, or say less',
  );
}

/** @throws MqError BAD_REQUEST */
function checkedToken(token: ApiToken): ApiToken {
  const { id, name, createdMs, untilMs, scope } = token;
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(id)) throw new MqError('BAD_REQUEST', 'a token has an id');
  if (!/^[a-zA-Z0-9_.@ -]{1,64}$/.test(name)) {
    throw new MqError('BAD_REQUEST', 'the name of a token has 1 to 64 letters, digits, spaces, "_", ".", "@" and "-"');
  }
  const lifeMs = untilMs - createdMs;
  if (!Number.isSafeInteger(lifeMs) || lifeMs <= 0 || lifeMs > apiTokenMsMax) {
    throw new MqError('BAD_REQUEST', `a token is good for a year at most`);
  }
  if (scope && scope.length > tokenScopeMax) {
    throw new MqError(
      'BAD_REQUEST',
      `the scope of a token has ${scope.length} entries; at most ${tokenScopeMax} are allowed`,
    );
  }
  if (scope && JSON.stringify(scope).length > tokenScopeCharsMax) {
    throw new MqError('BAD_REQUEST', `the scope of a token has more than ${tokenScopeCharsMax} characters of JSON`);
  }
  if (scope?.some(({ decision }) => decision !== 'allow')) {
    throw new MqError('BAD_REQUEST', 'the scope of a token says what it may: each entry allows');
  }
  return scope ? { ...token, scope: checkedPolicies({ user: id, entries: scope }).entries } : token;
}

/** @throws MqError CONFLICT, where a code was taken before, or another second factor set up */
function totpOf(
  totp: UserTotp | undefined,
  change: SecondFactorChange | undefined,
): { readonly totp?: UserTotp | undefined } {
  if (!change) return totp ? { totp } : {};
  if (change.kind === 'none') return {};
  if (change.kind === 'set') {
    if ((totp?.enrolledMs ?? 0) === change.replaces) return { totp: change.totp };
    throw new MqError('CONFLICT', 'another second factor was set up meanwhile');
  }
  if (!totp) throw new MqError('CONFLICT', 'the user has no second factor any more');
  switch (change.kind) {
    case 'taken':
      if (change.step > totp.lastStep) return { totp: { ...totp, lastStep: change.step } };
      throw new MqError('CONFLICT', 'the code was used before');
    case 'recovered':
      if (totp.recovery.includes(change.digest)) {
        return { totp: { ...totp, recovery: totp.recovery.filter((one) => one !== change.digest) } };
      }
      throw new MqError('CONFLICT', 'the recovery code was used before');
    case 'resealed':
      checkWas(totp.secret, change.replaces);
      return { totp: { ...totp, secret: change.secret } };
    default:
      return unreachable(change);
  }
}

/**
 * Else a secret that was opened before it was changed would come back under the new key; and who knows only the one before could
 * still change what is the user's, by a process that has not heard yet.
 *
 * @throws MqError CONFLICT
 */
function checkWas({ box }: SealedSecret, was: string | undefined): void {
  if (box !== was) throw new MqError('CONFLICT', 'the secret was changed or sealed again meanwhile; try again');
}

function checkKind(kind: UserKind): void {
  if (!userKinds.includes(kind)) throw new MqError('BAD_REQUEST', `a user is one of ${userKinds.join(', ')}`);
}

function quotaOf(quota: UserQuota | undefined): { readonly quota?: UserQuota } {
  const { requestsPerSecond, bytesPerSecond } = quota ?? {};
  for (const limit of [requestsPerSecond, bytesPerSecond]) {
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
      throw new MqError('BAD_REQUEST', 'a quota is a whole number above 0; leave it out for none');
    }
  }
  if (requestsPerSecond === undefined && bytesPerSecond === undefined) return {};
  return {
    quota: {
      ...(requestsPerSecond !== undefined && { requestsPerSecond }),
      ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    },
  };
}
