import { actions, printable, type Action, type ResourceType, type User } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { hostOf } from './address.js';
import { CompiledPolicies } from './decision.js';

/** Names for which decisions are kept, for each user and type of resource; then they are forgotten, and made again. */
const namesMax = 4_096;

/** A bit for each action. */
const bits = Object.fromEntries(actions.map((action, i) => [action, 1 << i])) as Readonly<Record<Action, number>>;

/** What is known of one resource: for which actions it was decided, and which of them are allowed. */
interface Decided {
  known: number;
  allowed: number;
}

/**
 * Who a call comes from, with what it may do. A change of the user or its policies makes a new principal; this one is then
 * not `current`, and whoever holds it asks the book again.
 */
export class Principal {
  current = true;
  private readonly decided: Partial<Record<ResourceType, Map<string, Decided>>> = {};

  constructor(
    readonly name: string,
    readonly isSuper: boolean,
    readonly user: User | undefined,
    readonly policies: CompiledPolicies,
    /** Of somebody whom an identity provider has told of, and who is no user here. */
    readonly roles: readonly string[] | undefined = undefined,
  ) {}

  /** @param peer `ip:port` of the caller; undefined: not known */
  may(anyOf: readonly Action[], type: ResourceType, name: string, peer: string | undefined): boolean {
    if (this.isSuper) return true;
    // Where no entry asks for the address, it is no part of the question.
    const key = this.policies.byAddress && peer !== undefined ? `${hostOf(peer)} ${name}` : name;
    const decided = (this.decided[type] ??= new Map<string, Decided>());
    let found = decided.get(key);
    if (!found) {
      if (decided.size >= namesMax) decided.clear();
      decided.set(key, (found = { known: 0, allowed: 0 }));
    }
    for (const action of anyOf) {
      const bit = bits[action];
      if ((found.known & bit) === 0) {
        found.known |= bit;
        if (this.decide(type, name, action, peer)) found.allowed |= bit;
      }
      if ((found.allowed & bit) !== 0) return true;
    }
    return false;
  }

  /** @throws MqError UNAUTHORIZED, with what is missing */
  need(anyOf: readonly Action[], type: ResourceType, name: string, peer: string | undefined): void {
    if (this.may(anyOf, type, name, peer)) return;
    const from = this.policies.byAddress && peer !== undefined ? ` from ${hostOf(peer)}` : '';
    throw new MqError(
      'UNAUTHORIZED',
      `user ${this.name} may not ${anyOf.join(' or ')} on ${type} "${printable(name)}"${from}`,
    );
  }

  protected decide(type: ResourceType, name: string, action: Action, peer: string | undefined): boolean {
    return this.policies.deciding({ type, name, action, peer })?.decision === 'allow';
  }
}

/** Who calls by a token that may do less than its user, and never all. */
export class ScopedPrincipal extends Principal {
  constructor(
    private readonly whose: Principal,
    private readonly scope: CompiledPolicies,
  ) {
    super(whose.name, false, whose.user, whose.policies.byAddress ? whose.policies : scope);
  }

  protected override decide(type: ResourceType, name: string, action: Action, peer: string | undefined): boolean {
    if (this.scope.deciding({ type, name, action, peer })?.decision !== 'allow') return false;
    return this.whose.may([action], type, name, peer);
  }

  /** As its user is now. */
  of(whose: Principal): ScopedPrincipal {
    return new ScopedPrincipal(whose, this.scope);
  }
}

const noPolicies = new CompiledPolicies([]);

/** Everybody, where nobody has to say who they are. */
export const anyone = new Principal('', true, undefined, noPolicies);
