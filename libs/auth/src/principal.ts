import { printable, type Action, type ResourceType, type User } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { hostOf } from './address.js';
import { CompiledPolicies } from './decision.js';

/** Decisions kept for each user; then they are forgotten, and made again. */
const decisionsMax = 4_096;

/**
 * Who a call comes from, with what it may do. A change of the user or its policies makes a new principal; this one is then
 * not `current`, and whoever holds it asks the book again.
 */
export class Principal {
  current = true;
  private readonly decisions = new Map<string, boolean>();

  constructor(
    readonly name: string,
    readonly isSuper: boolean,
    readonly user: User | undefined,
    readonly policies: CompiledPolicies,
  ) {}

  /** @param peer `ip:port` of the caller; undefined: not known */
  may(anyOf: readonly Action[], type: ResourceType, name: string, peer: string | undefined): boolean {
    if (this.isSuper) return true;
    for (const action of anyOf) if (this.mayDo(type, name, action, peer)) return true;
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

  private mayDo(type: ResourceType, name: string, action: Action, peer: string | undefined): boolean {
    // Where no entry asks for the address, it is no part of the question.
    const from = this.policies.byAddress && peer !== undefined ? hostOf(peer) : '';
    const key = `${action} ${type} ${name} ${from}`;
    const known = this.decisions.get(key);
    if (known !== undefined) return known;
    const decided = this.decide(type, name, action, peer);
    if (this.decisions.size >= decisionsMax) this.decisions.clear();
    this.decisions.set(key, decided);
    return decided;
  }

  private decide(type: ResourceType, name: string, action: Action, peer: string | undefined): boolean {
    return this.policies.deciding({ type, name, action, peer })?.decision === 'allow';
  }
}

const noPolicies = new CompiledPolicies([]);

/** Everybody, where nobody has to say who they are. */
export const anyone = new Principal('', true, undefined, noPolicies);
