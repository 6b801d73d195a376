import { actions, printable, type Action, type ResourceType, type User } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { hostOf } from './address.js';
import { CompiledPolicies, type Question } from './decision.js';

/** Names for which decisions are kept, for each user and type of resource; then they are forgotten, and made again. */
const namesMax = 4_096;
/** Of a token's scope, in a refusal. */
const scopeLengthMax = 200;

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

/** What a token may do at most. */
export interface TokenScope {
  /** The name of the token. */
  readonly token: string;
  readonly policies: CompiledPolicies;
}

/** Who calls by a token that may do less than its user, and never all. */
export class ScopedPrincipal extends Principal {
  constructor(
    private readonly whose: Principal,
    private readonly scope: TokenScope,
  ) {
    super(whose.name, false, whose.user, whose.policies.byAddress ? whose.policies : scope.policies);
  }

  protected override decide(type: ResourceType, name: string, action: Action, peer: string | undefined): boolean {
    if (!this.isInScope({ type, name, action, peer })) return false;
    return this.whose.may([action], type, name, peer);
  }

  /** Whose fault it is: the token's, where its user might. */
  override need(anyOf: readonly Action[], type: ResourceType, name: string, peer: string | undefined): void {
    if (this.may(anyOf, type, name, peer)) return;
    if (anyOf.some((action) => this.isInScope({ type, name, action, peer }))) {
      this.whose.need(anyOf, type, name, peer);
    }
    const allowed = this.scope.policies.text(scopeLengthMax);
    throw new MqError(
      'UNAUTHORIZED',
      `token "${this.token}" of user ${this.name} may not ${anyOf.join(' or ')} on ${type} "${printable(name)}": it is for ${allowed}`,
    );
  }

  get token(): string {
    return this.scope.token;
  }

  private isInScope(question: Question): boolean {
    return this.scope.policies.deciding(question)?.decision === 'allow';
  }

  /** As its user is now. */
  of(whose: Principal): ScopedPrincipal {
    return new ScopedPrincipal(whose, this.scope);
  }
}

const noPolicies = new CompiledPolicies([]);

/** Everybody, where nobody has to say who they are. */
export const anyone = new Principal('', true, undefined, noPolicies);
