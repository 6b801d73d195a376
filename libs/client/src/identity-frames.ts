/** The words of `IdentityService` on the wire and back, for both ends. */
import { internal } from '@cometmq/proto';
import type {
  Action,
  ApiToken,
  ApiTokenChange,
  IdentityUpdate,
  PolicyEntry,
  ResourceType,
  RevokedToken,
  SecondFactorChange,
  User,
  UserChange,
  UserDraft,
  UserKind,
  UserPolicies,
  UserQuota,
  UserTotp,
} from '@cometmq/model';
import { MqError, unreachable } from '@cometmq/shared';

export const identityServiceName = 'cometmq.v1.IdentityService';
export const identityPath = (method: string): string => `/${identityServiceName}/${method}`;

/** A snapshot goes out in parts of this many entries, so that no message grows with the system. */
const partEntriesMax = 200;

export function userToWire(user: User): internal.User {
  const { quota, totp, tokens = [] } = user;
  return {
    ...{ ...user, quota: quota && quotaToWire(quota), totp: totp && totpToWire(totp) },
    tokens: tokens.map(tokenToWire),
  };
}

export function userFromWire(wire: internal.User | undefined): User {
  const { kind, secret, quota, totp, tokens, ...rest } = whole(wire);
  return {
    ...{ ...rest, kind: kind as UserKind, secret: whole(secret) },
    ...(quota && { quota: quotaFromWire(quota) }),
    ...(totp && { totp: totpFromWire(totp) }),
    ...(tokens.length > 0 && { tokens: tokens.map(tokenFromWire) }),
  };
}

export function userDraftToWire(draft: UserDraft): internal.UserDraft {
  return { ...draft, quota: draft.quota && quotaToWire(draft.quota) };
}

export function userDraftFromWire({ kind, secret, quota, ...rest }: internal.UserDraft): UserDraft {
  return { ...rest, kind: kind as UserKind, secret: whole(secret), quota: quota && quotaFromWire(quota) };
}

export function userChangeToWire(name: string, change: UserChange): internal.UserChange {
  const { kind, enabled, secret, resealed, secretWas, quota, secondFactor, adminFile, token } = change;
  return {
    ...{ name, kind, enabled, secret, quota: quota && quotaToWire(quota) },
    ...{ resealed: resealed ?? false, secretWas: secretWas ?? '', adminFile },
    secondFactor: secondFactor && { change: secondFactorToWire(secondFactor) },
    token: token && { change: tokenChangeToWire(token) },
  };
}

export function userChangeFromWire(wire: internal.UserChange): UserChange {
  const { kind, enabled, secret, resealed, secretWas, quota, secondFactor, adminFile, token } = wire;
  return {
    ...{ kind: kind as UserKind | undefined, enabled, secret, resealed, quota: quota && quotaFromWire(quota) },
    ...(secretWas !== '' && { secretWas }),
    ...(adminFile !== undefined && { adminFile }),
    ...(token?.change && { token: tokenChangeFromWire(token.change) }),
    ...(secondFactor?.change && { secondFactor: secondFactorFromWire(secondFactor.change) }),
  };
}

function tokenToWire({ scope, ...rest }: ApiToken): internal.ApiToken {
  return { ...rest, scoped: scope !== undefined, scope: (scope ?? []).map(entryToWire) };
}

function tokenFromWire({ scoped, scope, ...rest }: internal.ApiToken): ApiToken {
  return { ...rest, ...(scoped && { scope: scope.map(entryFromWire) }) };
}

type TokenChangeOnWire = NonNullable<internal.ApiTokenChange['change']>;

function tokenChangeToWire(change: ApiTokenChange): TokenChangeOnWire {
  if (change.kind === 'added') return { $case: 'added', value: tokenToWire(change.token) };
  return { $case: 'removed', value: change.id };
}

function tokenChangeFromWire(wire: TokenChangeOnWire): ApiTokenChange {
  if (wire.$case === 'added') return { kind: 'added', token: tokenFromWire(wire.value) };
  return { kind: 'removed', id: wire.value };
}

function totpToWire(totp: UserTotp): internal.UserTotp {
  return { ...totp, recovery: [...totp.recovery] };
}

function totpFromWire({ secret, ...rest }: internal.UserTotp): UserTotp {
  return { ...rest, secret: whole(secret) };
}

type SecondFactorOnWire = NonNullable<internal.SecondFactorChange['change']>;

function secondFactorToWire(change: SecondFactorChange): SecondFactorOnWire {
  switch (change.kind) {
    case 'set':
      return { $case: 'set', value: { totp: totpToWire(change.totp), replaces: change.replaces } };
    case 'taken':
      return { $case: 'taken', value: change.step };
    case 'recovered':
      return { $case: 'recovered', value: change.digest };
    case 'resealed':
      return { $case: 'resealed', value: { secret: change.secret, replaces: change.replaces } };
    case 'none':
      return { $case: 'none', value: true };
    default:
      return unreachable(change);
  }
}

function secondFactorFromWire(wire: SecondFactorOnWire): SecondFactorChange {
  switch (wire.$case) {
    case 'set':
      return { kind: 'set', totp: totpFromWire(whole(wire.value.totp)), replaces: wire.value.replaces };
    case 'taken':
      return { kind: 'taken', step: wire.value };
    case 'recovered':
      return { kind: 'recovered', digest: wire.value };
    case 'resealed':
      return { kind: 'resealed', secret: whole(wire.value.secret), replaces: wire.value.replaces };
    case 'none':
      return { kind: 'none' };
    default:
      return unreachable(wire);
  }
}

export function policiesToWire(
  { user, entries }: UserPolicies,
  before?: readonly PolicyEntry[],
): internal.UserPolicies {
  const compared = before !== undefined;
  return { user, entries: entries.map(entryToWire), before: (before ?? []).map(entryToWire), compared };
}

/** What policies are to be until they are changed; undefined: whatever they are. */
export function policiesBefore({ before, compared }: internal.UserPolicies): PolicyEntry[] | undefined {
  return compared ? before.map(entryFromWire) : undefined;
}

export function policiesFromWire({ user, entries }: internal.UserPolicies): UserPolicies {
  return { user, entries: entries.map(entryFromWire) };
}

export function* identitiesToWire(update: IdentityUpdate): Generator<internal.IdentityUpdate> {
  const { revision } = update;
  switch (update.kind) {
    case 'snapshot': {
      const part = (value: Partial<internal.IdentitiesPart>): internal.IdentityUpdate => ({
        revision,
        update: { $case: 'snapshot', value: internal.IdentitiesPart.fromPartial(value) },
      });
      for (const users of slices(update.users)) yield part({ users: users.map(userToWire) });
      for (const policies of slices(update.policies))
        yield part({ policies: policies.map((one) => policiesToWire(one)) });
      for (const revoked of slices(update.revoked)) yield part({ revoked: revoked.map((token) => ({ ...token })) });
      yield part({ last: true, ...update.source, replaced: [...update.source.replaced] });
      return;
    }
    case 'user':
      yield { revision, update: { $case: 'user', value: userToWire(update.user) } };
      return;
    case 'userDeleted':
      yield { revision, update: { $case: 'userDeleted', value: update.name } };
      return;
    case 'policies':
      yield { revision, update: { $case: 'policies', value: policiesToWire(update.policies) } };
      return;
    case 'policiesDeleted':
      yield { revision, update: { $case: 'policiesDeleted', value: update.user } };
      return;
    case 'tokenRevoked':
      yield { revision, update: { $case: 'tokenRevoked', value: { ...update.token } } };
      return;
  }
}

/** Joins the parts of a snapshot. One for each stream. */
export class IdentityUpdateReader {
  private users: User[] = [];
  private policies: UserPolicies[] = [];
  private revoked: RevokedToken[] = [];

  /** Undefined: a part of a snapshot that is not whole yet. */
  read({ revision, update }: internal.IdentityUpdate): IdentityUpdate | undefined {
    switch (update?.$case) {
      case 'snapshot': {
        for (const user of update.value.users) this.users.push(userFromWire(user));
        for (const policies of update.value.policies) this.policies.push(policiesFromWire(policies));
        for (const token of update.value.revoked) this.revoked.push(token);
        if (!update.value.last) return undefined;
        const { users, policies, revoked } = this;
        const { clusterId, generation, replaced } = update.value;
        this.users = [];
        this.policies = [];
        this.revoked = [];
        return { kind: 'snapshot', revision, source: { clusterId, generation, replaced }, users, policies, revoked };
      }
      case 'user':
        return { kind: 'user', revision, user: userFromWire(update.value) };
      case 'userDeleted':
        return { kind: 'userDeleted', revision, name: update.value };
      case 'policies':
        return { kind: 'policies', revision, policies: policiesFromWire(update.value) };
      case 'policiesDeleted':
        return { kind: 'policiesDeleted', revision, user: update.value };
      case 'tokenRevoked':
        return { kind: 'tokenRevoked', revision, token: update.value };
      case undefined:
        return undefined;
    }
  }
}

function entryToWire({ policy, resource, actions, sourceIps, decision }: PolicyEntry): internal.PolicyEntry {
  const { type: resourceType, match, name } = resource;
  return { policy, resourceType, match, name, actions: [...actions], sourceIps: [...sourceIps], decision };
}

/** What the words may be is checked by the service, which has the answer for it. */
function entryFromWire(wire: internal.PolicyEntry): PolicyEntry {
  return {
    policy: wire.policy as PolicyEntry['policy'],
    resource: {
      type: wire.resourceType as ResourceType,
      match: wire.match as PolicyEntry['resource']['match'],
      name: wire.name,
    },
    actions: wire.actions as Action[],
    sourceIps: wire.sourceIps,
    decision: wire.decision as PolicyEntry['decision'],
  };
}

function quotaToWire({ requestsPerSecond, bytesPerSecond }: UserQuota): internal.UserQuota {
  return { requestsPerSecond, bytesPerSecond };
}

function quotaFromWire({ requestsPerSecond, bytesPerSecond }: internal.UserQuota): UserQuota {
  return {
    ...(requestsPerSecond !== undefined && { requestsPerSecond }),
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
  };
}

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += partEntriesMax) yield all.slice(from, from + partEntriesMax);
}

function whole<T>(part: T | undefined): T {
  if (part === undefined) throw new MqError('BAD_REQUEST', 'a message of the identity service lacks a part');
  return part;
}
