import type { IdentityUpdate, RevokedToken, User, UserPolicies } from '@cometmq/model';
import { MqError, type Clock, type Component, type Timer } from '@cometmq/shared';

import { CompiledPolicies } from './decision.js';
import { Principal } from './principal.js';
import type { Secret, SecretBox } from './secrets.js';
import { revokedTokensMax } from './users.js';

/** Who tells of users and policies: the whole first, then each change, in order. */
export interface IdentitySource {
  watch(listener: (update: IdentityUpdate) => void): () => void;
}

export interface IdentityBookOptions {
  readonly source: IdentitySource;
  readonly box: SecretBox;
  readonly clock: Clock;
  /** A user's secret can't be opened, and why. Told once for each of its secrets. */
  readonly unopened?: ((user: string, error: MqError) => void) | undefined;
  /** Called while nobody has told of users yet, so many milliseconds after the start; and once somebody has, with 0. */
  readonly late?: ((waitedMs: number) => void) | undefined;
}

/** From then on it is told that it waits; and again so often. */
const lateMs = 10_000;

interface Opened {
  readonly box: string;
  readonly secret: Secret | undefined;
}

/**
 * This process's copy of users and policies. Until the first snapshot has come it knows nobody; while the name service
 * is away it goes on with what it knew.
 */
export class IdentityBook implements Component {
  readonly name = 'identities';
  private readonly users = new Map<string, User>();
  private readonly policies = new Map<string, UserPolicies>();
  private readonly principals = new Map<string, Principal>();
  private readonly opened = new Map<string, Opened>();
  /** Until when each would be good. */
  private readonly revoked = new Map<string, number>();
  private readonly listeners = new Set<() => void>();
  private unwatch: (() => void) | undefined;
  private told = false;
  private lateTimer: Timer | undefined;
  private waitedMs = 0;

  constructor(private readonly options: IdentityBookOptions) {}

  /** Does not wait: who can't be known yet is refused, with UNAVAILABLE. */
  start(): Promise<void> {
    this.waitOn();
    this.unwatch = this.options.source.watch((update) => this.apply(update));
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.unwatch?.();
    this.lateTimer?.cancel();
    return Promise.resolve();
  }

  /** False: nobody has told this process yet who there is. */
  get ready(): boolean {
    return this.told;
  }

  /** Undefined when users are known, else why not. */
  unready(): string | undefined {
    return this.told ? undefined : 'users are not known yet: the name service has not told of them';
  }

  /** A user that is not known may well be there. @throws MqError UNAVAILABLE until users are known */
  checkReady(): void {
    if (!this.told) throw new MqError('UNAVAILABLE', `${this.unready()}; try again`);
  }

  get userCount(): number {
    return this.users.size;
  }

  user(name: string): User | undefined {
    return this.users.get(name);
  }

  hasEnabledSuper(): boolean {
    for (const { kind, enabled } of this.users.values()) if (kind === 'super' && enabled) return true;
    return false;
  }

  allUsers(): IterableIterator<User> {
    return this.users.values();
  }

  policiesOf(name: string): UserPolicies | undefined {
    return this.policies.get(name);
  }

  /** Somebody has ended it before its time: until when it would be good. Undefined: nobody has. */
  revokedUntil(tokenId: string): number | undefined {
    return this.revoked.get(tokenId);
  }

  /** Undefined: there is no such user, or it is disabled. */
  principal(name: string): Principal | undefined {
    const known = this.principals.get(name);
    if (known) return known;
    const user = this.users.get(name);
    if (!user?.enabled) return undefined;
    const entries = new CompiledPolicies(this.policies.get(name)?.entries ?? []);
    const principal = new Principal(name, user.kind === 'super', user, entries);
    this.principals.set(name, principal);
    return principal;
  }

  /** Undefined: there is no such user, or its secret can't be opened with the keys of this process. */
  secretOf(name: string): Secret | undefined {
    const user = this.users.get(name);
    if (!user) return undefined;
    const known = this.opened.get(name);
    if (known?.box === user.secret.box) return known.secret;
    const secret = this.open(user);
    this.opened.set(name, { box: user.secret.box, secret });
    return secret;
  }

  /** Called after each update has been applied. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Waits until what has been written is known here too. @throws MqError TIMEOUT */
  until(holds: () => boolean, waitMs: number): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const forget = this.onChange(() => {
        if (!holds()) return;
        timer.cancel();
        forget();
        resolve();
      });
      const timer = this.options.clock.after(waitMs, () => {
        forget();
        reject(new MqError('TIMEOUT', 'this process does not hear of changes of users and policies now; try again'));
      });
    });
  }

  private open(user: User): Secret | undefined {
    try {
      return this.options.box.open(user.secret, user.name);
    } catch (caught) {
      this.options.unopened?.(user.name, MqError.from(caught));
      return undefined;
    }
  }

  private apply(update: IdentityUpdate): void {
    switch (update.kind) {
      case 'snapshot':
        this.users.clear();
        this.policies.clear();
        for (const user of update.users) this.users.set(user.name, user);
        for (const one of update.policies) this.policies.set(one.user, one);
        for (const name of [...this.principals.keys()]) this.outdate(name);
        for (const name of [...this.opened.keys()]) if (!this.users.has(name)) this.opened.delete(name);
        for (const token of update.revoked) this.revoke(token);
        this.comeAtLast();
        break;
      case 'user':
        this.users.set(update.user.name, update.user);
        this.outdate(update.user.name);
        break;
      case 'userDeleted':
        this.users.delete(update.name);
        this.opened.delete(update.name);
        this.outdate(update.name);
        break;
      case 'policies':
        this.policies.set(update.policies.user, update.policies);
        this.outdate(update.policies.user);
        break;
      case 'policiesDeleted':
        this.policies.delete(update.user);
        this.outdate(update.user);
        break;
      case 'tokenRevoked':
        this.revoke(update.token);
        break;
    }
    for (const listener of [...this.listeners]) listener();
  }

  /** No snapshot takes it back. */
  private revoke({ id, untilMs }: RevokedToken): void {
    if (this.revoked.size >= revokedTokensMax) {
      const nowMs = this.options.clock.wallMs();
      for (const [old, oldMs] of this.revoked) if (oldMs <= nowMs) this.revoked.delete(old);
    }
    this.revoked.set(id, Math.max(untilMs, this.revoked.get(id) ?? 0));
  }

  private waitOn(): void {
    this.lateTimer = this.options.clock.after(lateMs, () => {
      this.waitedMs += lateMs;
      this.options.late?.(this.waitedMs);
      this.waitOn();
    });
  }

  private comeAtLast(): void {
    if (this.told) return;
    this.told = true;
    this.lateTimer?.cancel();
    if (this.waitedMs > 0) this.options.late?.(0);
  }

  private outdate(name: string): void {
    const principal = this.principals.get(name);
    if (!principal) return;
    principal.current = false;
    this.principals.delete(name);
  }
}
