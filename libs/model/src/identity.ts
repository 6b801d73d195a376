/**
 * Who may do what, as it is stored and told: users and their policies, in the words of RocketMQ's ACL 2.0. What it means is
 * for libs/auth.
 */
export const userKinds = ['super', 'normal'] as const;
/** A super user may do everything; a normal one what its policies allow. */
export type UserKind = (typeof userKinds)[number];

/** A secret under a key of the key file. Only processes that have the file can open it. */
export interface SealedSecret {
  readonly keyId: string;
  /** base64url: 12 bytes of nonce, the ciphertext, 16 bytes of tag. */
  readonly box: string;
}

/** What a user may ask for in a second; absent: no limit of its own. */
export interface UserQuota {
  readonly requestsPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
}

/** A second factor: codes that an app makes of a key it shares with us, by the time. */
export interface UserTotp {
  readonly secret: SealedSecret;
  /** SHA-256 of recovery codes that were not used yet, in hex. */
  readonly recovery: readonly string[];
  /** Of the last code that was taken: none for this time step or an earlier one is taken again. */
  readonly lastStep: number;
  readonly enrolledMs: number;
}

export type SecondFactorChange =
  /** @param replaces when the one was set up that it takes the place of; 0: there was none */
  | { readonly kind: 'set'; readonly totp: UserTotp; readonly replaces: number }
  | { readonly kind: 'taken'; readonly step: number }
  | { readonly kind: 'recovered'; readonly digest: string }
  /** The same key under another key of the key file. @param replaces the box that it was opened from */
  | { readonly kind: 'resealed'; readonly secret: SealedSecret; readonly replaces: string }
  | { readonly kind: 'none' };

/** A token for the REST API. Its text is made once, and kept nowhere: what is kept says that it is good. */
export interface ApiToken {
  readonly id: string;
  readonly name: string;
  readonly createdMs: number;
  readonly untilMs: number;
  /** What it may do at most, of what its user may; undefined: all of that. */
  readonly scope?: readonly PolicyEntry[] | undefined;
}

export type ApiTokenChange =
  { readonly kind: 'added'; readonly token: ApiToken } | { readonly kind: 'removed'; readonly id: string };

export interface User {
  /** Which is the access key too, as in RocketMQ. */
  readonly name: string;
  readonly kind: UserKind;
  readonly enabled: boolean;
  readonly secret: SealedSecret;
  /** Rises with each new secret: what was issued under an older one ends. */
  readonly secretVersion: number;
  readonly quota?: UserQuota | undefined;
  /** Undefined: its secret is enough to log in. */
  readonly totp?: UserTotp | undefined;
  /** Of who was given a secret by the admin's file: which one, as a digest under the key file. */
  readonly adminFile?: string | undefined;
  /** They end with the secret, too. */
  readonly tokens?: readonly ApiToken[] | undefined;
  readonly createdMs: number;
}

export interface UserDraft {
  readonly name: string;
  readonly kind: UserKind;
  readonly enabled: boolean;
  readonly secret: SealedSecret;
  readonly quota?: UserQuota | undefined;
  readonly adminFile?: string | undefined;
}

/** What is left out stays. */
export interface UserChange {
  readonly kind?: UserKind | undefined;
  readonly enabled?: boolean | undefined;
  readonly secret?: SealedSecret | undefined;
  /** The same secret under another key: what was issued under it goes on. Needs `secretWas`. */
  readonly resealed?: boolean | undefined;
  /** The box of the secret that the change was made from, or by who knew it: where another one is stored nothing is changed. */
  readonly secretWas?: string | undefined;
  /** Replaced as a whole; an empty one lifts all limits. */
  readonly quota?: UserQuota | undefined;
  readonly secondFactor?: SecondFactorChange | undefined;
  readonly adminFile?: string | undefined;
  readonly token?: ApiTokenChange | undefined;
}

export const resourceTypes = ['any', 'cluster', 'namespace', 'topic', 'group'] as const;
export type ResourceType = (typeof resourceTypes)[number];

export const actions = ['all', 'pub', 'sub', 'create', 'update', 'delete', 'get', 'list'] as const;
export type Action = (typeof actions)[number];

export interface Resource {
  readonly type: ResourceType;
  /** `any`: whatever its name. */
  readonly match: 'literal' | 'prefix' | 'any';
  readonly name: string;
}

export interface PolicyEntry {
  /** Default entries count only where no custom one matches. */
  readonly policy: 'custom' | 'default';
  readonly resource: Resource;
  readonly actions: readonly Action[];
  /** Addresses or CIDR blocks; empty: from anywhere. */
  readonly sourceIps: readonly string[];
  readonly decision: 'allow' | 'deny';
}

/** All that is said of one user. */
export interface UserPolicies {
  readonly user: string;
  readonly entries: readonly PolicyEntry[];
}

/** The metadata that users come from. */
export interface IdentitySource {
  readonly clusterId: string;
  readonly generation: number;
  /** Clusters whose place this one has taken. */
  readonly replaced: readonly string[];
}

/** A token or session that somebody has ended before its time. */
export interface RevokedToken {
  readonly id: string;
  /** When it would have ended by itself: from then on nobody has to know of it any more. */
  readonly untilMs: number;
}

export type IdentityUpdate =
  | {
      readonly kind: 'snapshot';
      readonly revision: number;
      /** Whose users they are. */
      readonly source: IdentitySource;
      readonly users: readonly User[];
      readonly policies: readonly UserPolicies[];
      readonly revoked: readonly RevokedToken[];
    }
  | { readonly kind: 'user'; readonly revision: number; readonly user: User }
  | { readonly kind: 'userDeleted'; readonly revision: number; readonly name: string }
  | { readonly kind: 'policies'; readonly revision: number; readonly policies: UserPolicies }
  | { readonly kind: 'policiesDeleted'; readonly revision: number; readonly user: string }
  | { readonly kind: 'tokenRevoked'; readonly revision: number; readonly token: RevokedToken };
