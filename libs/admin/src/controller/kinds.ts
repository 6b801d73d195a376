/** What the controller has to know of a kind of resource: what there is, and how that is changed. */
import type { Schema } from '../api/schema-parts.js';
import type { Found, Verdict } from './plan.js';
import type { Resource } from './resource.js';

export interface Kind {
  readonly kind: string;
  /** As paths name it. */
  readonly plural: string;
  /** For people: `topic`. */
  readonly noun: string;
  /** Of its spec. */
  readonly schema: Schema;
  /** Others that are deleted along with it are to be seen first. */
  readonly settles?: boolean;
  /** Why its spec can't be, beyond what the schema says. */
  fault?(resource: Resource): string | undefined;
  look(resource: Resource): Promise<Look>;
  /** @returns the identity of what was made */
  create(resource: Resource): Promise<number>;
  /** @returns those of the fields that were changed; the others come with the next step */
  change(resource: Resource, fields: readonly string[]): Promise<readonly string[]>;
  /** Only what has this identity. */
  delete(resource: Resource, identity: number): Promise<void>;
  /** What would be lost with it, in words; empty: nothing. @throws MqError where it can't be said */
  backlog(resource: Resource, identity: number): Promise<string>;
  /** Brings back what was deleted. */
  restore?(resource: Resource, identity: number): Promise<void>;
  /** Makes what has to be there before. @returns what was done, for people */
  prepare?(resource: Resource): Promise<string>;
}

export interface Look {
  readonly found: Found | undefined;
  readonly restorable?: boolean;
  readonly blocked?: Verdict | undefined;
  readonly unprepared?: boolean;
  /** Known to be its own, though its status does not say so. */
  readonly owned?: number | undefined;
}

/** What the resource's name in the cluster is: its own where it says no other. */
export function nameIn({ name, spec }: Resource): string {
  const given = spec['name'];
  return typeof given === 'string' ? given : name;
}

/** Who asked, as lists of deletions and the audit log show it. */
export function askerOf({ kind }: Kind, { name }: Resource): string {
  return `${kind} ${name}`;
}
