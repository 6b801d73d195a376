/** Doubles for specs: users and policies in memory, told as the name service tells them. */
import type {
  IdentityUpdate,
  PolicyEntry,
  RevokedToken,
  User,
  UserChange,
  UserDraft,
  UserKind,
  UserPolicies,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { TOTP } from 'otpauth';

import type { IdentitySource } from './identity-book.js';
import { checkedPolicies, samePolicies } from './policies.js';
import { Secret, SecretBox } from './secrets.js';
import { changedUser, newUser } from './users.js';

/** What the app shows at this time. @param key in base32 */
export function codeOf(key: string, nowMs: number): string {
  return new TOTP({ secret: key }).generate({ timestamp: nowMs });
}

export class FakeIdentities implements IdentitySource {
  readonly box: SecretBox;
  readonly users = new Map<string, User>();
  readonly policies = new Map<string, UserPolicies>();
  readonly revoked = new Map<string, RevokedToken>();
  /** What is thrown to who ends a token. */
  revocationFault: MqError | undefined;
  private readonly listeners = new Set<(update: IdentityUpdate) => void>();
  private revision = 1;

  constructor(readonly keyFile = SecretBox.newFile('k1')) {
    this.box = SecretBox.of(keyFile);
  }

  watch(listener: (update: IdentityUpdate) => void): () => void {
    queueMicrotask(() => {
      this.listeners.add(listener);
      listener({
        kind: 'snapshot',
        revision: this.revision,
        source: { clusterId: 'fake', generation: 1, replaced: [] },
        users: [...this.users.values()],
        policies: [...this.policies.values()],
        revoked: [...this.revoked.values()],
      });
    });
    return () => this.listeners.delete(listener);
  }

  user(name: string, secret: string, change: Partial<Omit<User, 'name'>> = {}): User {
    const kind: UserKind = 'normal';
    const before = { kind, enabled: true, secretVersion: 1, createdMs: 0, ...this.users.get(name) };
    const user = { ...before, ...change, name, secret: this.box.seal(new Secret(secret), name) };
    this.users.set(name, user);
    this.tell({ kind: 'user', revision: (this.revision += 1), user });
    return user;
  }

  allow(user: string, ...entries: readonly PolicyEntry[]): void {
    const policies = { user, entries };
    this.policies.set(user, policies);
    this.tell({ kind: 'policies', revision: (this.revision += 1), policies });
  }

  delete(name: string): void {
    this.users.delete(name);
    this.tell({ kind: 'userDeleted', revision: (this.revision += 1), name });
  }

  async createUser(draft: UserDraft): Promise<User> {
    if (this.users.has(draft.name)) throw new MqError('ALREADY_EXISTS', `user ${draft.name} exists already`);
    return this.put(newUser(draft, 1));
  }

  async updateUser(name: string, change: UserChange): Promise<User> {
    const changed = changedUser(this.found(name), change);
    if (changed.kind !== 'super' || !changed.enabled) this.checkAnotherAdmin(name);
    return this.put(changed);
  }

  async revokeToken(token: RevokedToken): Promise<void> {
    if (this.revocationFault) throw this.revocationFault;
    this.revoked.set(token.id, token);
    this.tell({ kind: 'tokenRevoked', revision: (this.revision += 1), token });
  }

  private checkAnotherAdmin(name: string): void {
    const isAdmin = ({ kind, enabled }: User): boolean => kind === 'super' && enabled;
    if (!isAdmin(this.found(name))) return;
    if ([...this.users.values()].some((user) => user.name !== name && isAdmin(user))) return;
    throw new MqError('CONFLICT', `${name} is the last enabled super user; make another one first`);
  }

  async deleteUser(name: string): Promise<void> {
    this.checkAnotherAdmin(name);
    this.policies.delete(name);
    this.delete(name);
  }

  async setPolicies(policies: UserPolicies, before?: readonly PolicyEntry[]): Promise<void> {
    this.found(policies.user);
    if (before && !samePolicies(this.policies.get(policies.user)?.entries ?? [], before)) {
      throw new MqError('CONFLICT', `somebody else has changed the policies of ${policies.user} meanwhile; try again`);
    }
    this.allow(policies.user, ...checkedPolicies(policies).entries);
  }

  private found(name: string): User {
    const user = this.users.get(name);
    if (!user) throw new MqError('NOT_FOUND', `there is no user ${name}`);
    return user;
  }

  private put(user: User): User {
    this.users.set(user.name, user);
    this.tell({ kind: 'user', revision: (this.revision += 1), user });
    return user;
  }

  private tell(update: IdentityUpdate): void {
    for (const listener of [...this.listeners]) listener(update);
  }
}
