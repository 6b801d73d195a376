/**
 * Whether policies allow an action on a resource. The first entry that matches decides, in this order:
 *
 *   custom before default · a resource's own type before any · literal before prefix before * · longer prefix first ·
 *   deny before allow
 *
 * A system topic is meant by what names it, or what its name begins with; who may read all topics may not read the audit log.
 * What denies all topics denies them, too.
 *
 * No entry matches: no. From an address that is not known, an entry with source addresses denies and never allows.
 * Of several actions one is enough, each decided by itself: who may not publish may still subscribe.
 */
import { isSystemTopic, type Action, type PolicyEntry, type ResourceType } from '@cometmq/model';

import { resourceText } from './policies.js';
import { addressBlock, addressOf, isWithin, type Address, type AddressBlock } from './address.js';

export interface Question {
  readonly type: ResourceType;
  readonly name: string;
  readonly action: Action;
  /** `ip:port`; undefined: not known. */
  readonly peer: string | undefined;
}

interface CompiledEntry {
  readonly source: PolicyEntry;
  readonly type: ResourceType;
  readonly match: PolicyEntry['resource']['match'];
  readonly name: string;
  readonly allActions: boolean;
  /** It allows something on all topics, or on those that begin with less than system topics do: those are not meant. */
  readonly notSystem: boolean;
  readonly blocks: readonly AddressBlock[];
}

export class CompiledPolicies {
  /** Whether where a call comes from makes a difference. */
  readonly byAddress: boolean;
  private readonly entries: readonly CompiledEntry[];

  constructor(entries: readonly PolicyEntry[]) {
    this.entries = [...entries].sort(byPrecedence).map(compiled);
    this.byAddress = this.entries.some(({ blocks }) => blocks.length > 0);
  }

  /** The entry that decides; undefined: none says anything of it. */
  deciding(question: Question): PolicyEntry | undefined {
    const from = this.byAddress ? addressOf(question.peer) : undefined;
    for (const entry of this.entries) if (matches(entry, question, from)) return entry.source;
    return undefined;
  }

  /** What is allowed, for people: `get, list on Topic:orders-* from 10.0.0.0/8`. */
  text(lengthMax: number): string {
    const allowed = this.entries.filter(({ source }) => source.decision === 'allow');
    const texts = allowed.map(({ source: { actions, resource, sourceIps } }) => {
      const from = sourceIps.length > 0 ? ` from ${sourceIps.join(' or ')}` : '';
      return `${actions.join(', ')} on ${resourceText(resource)}${from}`;
    });
    const text = texts.join(' and ');
    return text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text;
  }
}

function compiled(source: PolicyEntry): CompiledEntry {
  const { type, match, name } = source.resource;
  const allActions = source.actions.includes('all');
  const notSystem = source.decision === 'allow' && match !== 'literal' && !isSystemTopic(name);
  return { source, type, match, name, allActions, notSystem, blocks: source.sourceIps.map(addressBlock) };
}

function matches(entry: CompiledEntry, { type, name, action }: Question, from: Address | undefined): boolean {
  if (entry.type !== 'any' && entry.type !== type) return false;
  if (entry.match === 'literal' && entry.name !== name) return false;
  if (entry.match === 'prefix' && !name.startsWith(entry.name)) return false;
  if (entry.notSystem && type === 'topic' && isSystemTopic(name)) return false;
  if (!entry.allActions && !entry.source.actions.includes(action)) return false;
  if (entry.blocks.length === 0) return true;
  return from ? isWithin(from, entry.blocks) : entry.source.decision === 'deny';
}

const matchOrder = { literal: 0, prefix: 1, any: 2 } as const;

function byPrecedence(a: PolicyEntry, b: PolicyEntry): number {
  return (
    Number(a.policy === 'default') - Number(b.policy === 'default') ||
    Number(a.resource.type === 'any') - Number(b.resource.type === 'any') ||
    matchOrder[a.resource.match] - matchOrder[b.resource.match] ||
    (a.resource.match === 'prefix' ? b.resource.name.length - a.resource.name.length : 0) ||
    Number(b.decision === 'deny') - Number(a.decision === 'deny')
  );
}
