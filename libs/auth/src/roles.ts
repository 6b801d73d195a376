/**
 * What somebody may do whom an identity provider has told of, and who is no user of this cluster: settings give roles to the
 * provider's groups.
 *
 *   viewer        sees everything, messages too
 *   operator      changes topics, groups, messages and broker sets besides
 *   admin         everything, as a super user
 *   user:<name>   what that user of this cluster may do, as long as it is enabled
 *
 * Several roles are added together; where they contradict, deny wins as it does among policies.
 */
import { printable, type Action, type PolicyEntry } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { CompiledPolicies } from './decision.js';
import type { IdentityBook } from './identity-book.js';
import { Principal } from './principal.js';
import { userName } from './users.js';

/** Who somebody is by an identity provider's word. */
export interface ExternalIdentity {
  /** Begins with `oidc:`, so that it is never a user's. */
  readonly name: string;
  /** At least one. */
  readonly roles: readonly string[];
  /** What ends its logins here besides their own ids: told of by the provider when somebody logs out there. */
  readonly endedBy?: readonly string[] | undefined;
}

export type RolesOfGroups = ReadonlyMap<string, string>;

const everything = (...actions: Action[]): PolicyEntry => ({
  policy: 'custom',
  resource: { type: 'any', match: 'any', name: '' },
  actions,
  sourceIps: [],
  decision: 'allow',
});
const fixedRoles: Readonly<Record<string, readonly PolicyEntry[]>> = {
  viewer: [everything('get', 'list')],
  operator: [everything('get', 'list', 'create', 'update', 'delete')],
};
const admin = 'admin';
const userPrefix = 'user:';
/** They travel in the cookie. */
const rolesMax = 8;
const nameLengthMax = 128;

/** @param pairs `<group>=<role>` each; a group may hold `=` itself. @throws MqError CONFIG */
export function rolesOfGroups(pairs: readonly string[]): RolesOfGroups {
  const roles = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.lastIndexOf('=');
    const group = pair.slice(0, Math.max(at, 0)).trim();
    const role = pair.slice(at + 1).trim();
    if (group === '' || !isRole(role)) {
      throw new MqError(
        'CONFIG',
        `oidcRoles: "${pair}": must be <group>=<role>, with viewer, operator, admin or user:<name> as the role`,
      );
    }
    if (roles.has(group)) throw new MqError('CONFIG', `oidcRoles: group "${group}" stands twice`);
    roles.set(group, role);
  }
  return roles;
}

function isRole(text: string): boolean {
  if (text === admin || Object.hasOwn(fixedRoles, text)) return true;
  try {
    return text.startsWith(userPrefix) && userName(text.slice(userPrefix.length)) !== '';
  } catch {
    return false;
  }
}

/** Who somebody is has been shown: what is missing is a right. @throws MqError FORBIDDEN unless a group has a role */
export function externalIdentity(said: string, groups: readonly string[], mapping: RolesOfGroups): ExternalIdentity {
  const name = `oidc:${printable(said).slice(0, nameLengthMax)}`;
  const found = [...new Set(groups.flatMap((group) => mapping.get(group) ?? []))];
  const roles = found.includes(admin) ? [admin] : found.sort();
  if (roles.length === 0) {
    throw new MqError('FORBIDDEN', `no group of ${name} has a role here: oidcRoles says which groups have one`);
  }
  if (roles.length > rolesMax) {
    throw new MqError('FORBIDDEN', `the groups of ${name} have ${roles.length} roles; at most ${rolesMax} are taken`);
  }
  return { name, roles };
}

/** The principals of such identities: made anew after users or policies have changed, as a role may be a user's. */
export class ExternalPrincipals {
  private readonly known = new Map<string, Principal>();

  constructor(private readonly book: IdentityBook) {
    book.onChange(() => this.forget());
  }

  of({ name, roles }: ExternalIdentity): Principal {
    const key = JSON.stringify([name, ...roles]); // Providers' names may hold spaces and names of roles.
    const known = this.known.get(key);
    if (known) return known;
    if (this.known.size >= principalsMax) this.forget();
    const users = roles.flatMap((role) => this.userOf(role) ?? []);
    const isSuper = roles.includes(admin) || users.some((user) => user.isSuper);
    const entries = [...roles.flatMap((role) => fixedRoles[role] ?? []), ...users.flatMap((user) => user.entries)];
    const principal = new Principal(name, isSuper, undefined, new CompiledPolicies(entries), roles);
    this.known.set(key, principal);
    return principal;
  }

  private userOf(role: string): { readonly isSuper: boolean; readonly entries: readonly PolicyEntry[] } | undefined {
    if (!role.startsWith(userPrefix)) return undefined;
    const name = role.slice(userPrefix.length);
    const user = this.book.user(name);
    if (!user?.enabled) return undefined;
    return { isSuper: user.kind === 'super', entries: this.book.policiesOf(name)?.entries ?? [] };
  }

  private forget(): void {
    for (const principal of this.known.values()) principal.current = false;
    this.known.clear();
  }
}

const principalsMax = 1_000;
