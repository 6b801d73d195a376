/**
 * Goal: policies decide exactly in the order of precedence, and deny wins ties. Method: entries and questions by chance from a small
 * alphabet, so that they meet; against an evaluator that shares no code with ours: it looks at all entries that match and
 * takes the strongest by a rank it reckons for each.
 */
import { actions, type Action, type PolicyEntry, type ResourceType } from '@cometmq/model';
import { Prng, systemClock } from '@cometmq/shared';

import { CompiledPolicies, type Question } from './decision.js';
import { auditorTemplate, consumerTemplate, producerTemplate, resourceIn } from './policies.js';
import { Principal } from './principal.js';

const types: readonly ResourceType[] = ['topic', 'group', 'cluster'];
const names = ['a', 'ab', 'abc', 'b', 'abcd', 'rmq', 'rmq_sys_', 'rmq_sys_audit_log'];
const ips = [[], ['10.0.0.0/8'], ['192.168.1.7'], ['2001:db8::/32']];
const peers = ['10.1.2.3:5000', '192.168.1.7:1', '192.168.1.8:1', '[2001:db8::1]:9', '[::ffff:10.9.9.9]:2', undefined];
const askable = actions.filter((action) => action !== 'all');
const seeds = Array.from({ length: 60 }, (_, i) => i + 1);

function someOf<T>(chance: Prng, all: readonly T[]): T {
  return all[Math.floor(chance.next() * all.length)] as T;
}

function anEntry(chance: Prng): PolicyEntry {
  const match = someOf(chance, ['literal', 'prefix', 'any'] as const);
  const isAnyType = chance.next() < 0.1;
  return {
    policy: chance.next() < 0.3 ? 'default' : 'custom',
    resource: isAnyType
      ? { type: 'any', match: 'any', name: '' }
      : { type: someOf(chance, types), match, name: match === 'any' ? '' : someOf(chance, names) },
    actions: [someOf(chance, actions), someOf(chance, actions)],
    sourceIps: someOf(chance, ips),
    decision: chance.next() < 0.5 ? 'allow' : 'deny',
  };
}

/** By the text of the design, word for word. */
function bruteForce(entries: readonly PolicyEntry[], { type, name, action, peer }: Question): boolean {
  const inside: Record<string, readonly string[]> = {
    '10.0.0.0/8': ['10.1.2.3:5000', '[::ffff:10.9.9.9]:2'],
    '192.168.1.7': ['192.168.1.7:1'],
    '2001:db8::/32': ['[2001:db8::1]:9'],
  };
  const matching = entries.filter((entry) => {
    const { resource } = entry;
    if (resource.type !== 'any' && resource.type !== type) return false;
    const isNamed =
      resource.match === 'any' ||
      (resource.match === 'literal'
        ? resource.name === name
        : name.substring(0, resource.name.length) === resource.name);
    const isAsked = entry.actions.some((one) => one === 'all' || one === action);
    const [ip] = entry.sourceIps;
    const isFrom = ip === undefined || (peer === undefined ? entry.decision === 'deny' : inside[ip]?.includes(peer));
    const isSystem = type === 'topic' && name.startsWith('rmq_sys_');
    const meansSystem = entry.decision === 'deny' || resource.name.startsWith('rmq_sys_');
    return isNamed && isAsked && isFrom && (!isSystem || meansSystem);
  });
  const rank = ({ policy, resource }: PolicyEntry): number =>
    (policy === 'custom' ? 1e6 : 0) +
    (resource.type === 'any' ? 0 : 1e5) +
    (resource.match === 'literal' ? 1e4 : resource.match === 'prefix' ? 1e3 + resource.name.length : 0);
  const best = Math.max(...matching.map(rank));
  const strongest = matching.filter((entry) => rank(entry) === best);
  return strongest.length > 0 && strongest.every(({ decision }) => decision === 'allow');
}

describe('a decision', () => {
  it.each(seeds)('is that of a brute-force evaluator (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const entries = Array.from({ length: 1 + Math.floor(chance.next() * 12) }, () => anEntry(chance));
    const policies = new CompiledPolicies(entries);
    const wrong: Question[] = [];
    for (let i = 0; i < 400; i += 1) {
      const question: Question = {
        type: someOf(chance, types),
        name: someOf(chance, names),
        action: someOf(chance, askable),
        peer: someOf(chance, peers),
      };
      const decided = policies.deciding(question)?.decision === 'allow';
      if (decided !== bruteForce(entries, question)) wrong.push(question);
    }
    expect(wrong).toEqual([]);
  });

  it('is deny where two entries tie, whatever stands first', () => {
    const allow: PolicyEntry = {
      policy: 'custom',
      resource: resourceIn('Topic:orders'),
      actions: ['pub'],
      sourceIps: [],
      decision: 'allow',
    };
    const deny: PolicyEntry = { ...allow, decision: 'deny' };
    for (const entries of [
      [allow, deny],
      [deny, allow],
    ]) {
      const question = { type: 'topic', name: 'orders', action: 'pub', peer: undefined } as const;
      expect(new CompiledPolicies(entries).deciding(question)).toBe(deny);
    }
  });

  it('takes one of several actions for enough, each by itself', () => {
    const entries: PolicyEntry[] = [
      { policy: 'custom', resource: resourceIn('Topic:orders'), actions: ['pub'], sourceIps: [], decision: 'deny' },
      { policy: 'custom', resource: resourceIn('Topic:*'), actions: ['sub'], sourceIps: [], decision: 'allow' },
    ];
    const who = new Principal('u', false, undefined, new CompiledPolicies(entries));
    expect(who.may(['pub', 'sub'], 'topic', 'orders', undefined)).toBe(true);
    expect(who.may(['pub'], 'topic', 'orders', undefined)).toBe(false);
  });

  it('is yes for what the templates are for, and for nothing more', () => {
    const may = (entries: readonly PolicyEntry[], type: ResourceType, name: string, action: Action): boolean =>
      new Principal('u', false, undefined, new CompiledPolicies(entries)).may([action], type, name, '1.2.3.4:5');
    const producer = producerTemplate('orders-*');
    expect(may(producer, 'topic', 'orders-eu', 'pub')).toBe(true);
    expect(may(producer, 'topic', 'RMQ_SYS_TRACE_TOPIC', 'pub')).toBe(true);
    expect(may(producer, 'topic', 'orders-eu', 'sub')).toBe(false);
    expect(may(producer, 'topic', 'other', 'pub')).toBe(false);
    const consumer = consumerTemplate('orders-*', 'billing');
    expect(may(consumer, 'topic', 'orders-eu', 'sub')).toBe(true);
    expect(may(consumer, 'group', 'billing', 'sub')).toBe(true);
    expect(may(consumer, 'topic', '%DLQ%billing', 'sub')).toBe(true);
    expect(may(consumer, 'topic', 'orders-eu', 'pub')).toBe(false);
    expect(may(consumer, 'group', 'billing-2', 'sub')).toBe(false);
    const auditor = auditorTemplate('siem');
    expect(may(auditor, 'topic', 'rmq_sys_audit_log', 'sub')).toBe(true);
    expect(may(auditor, 'group', 'siem', 'sub')).toBe(true);
    expect(may(auditor, 'topic', 'rmq_sys_audit_log', 'pub')).toBe(false);
    expect(may(auditor, 'topic', 'orders-eu', 'sub')).toBe(false);
    for (const all of ['*', 'Topic:*', 'Topic:rmq*']) {
      const everything: PolicyEntry[] = [
        { policy: 'custom', resource: resourceIn(all), actions: ['all'], sourceIps: [], decision: 'allow' },
      ];
      expect(may(everything, 'topic', 'rmq_sys_audit_log', 'sub')).toBe(false);
      expect(may(everything, 'topic', 'rmq', 'sub')).toBe(true);
    }
  });
});

// The figures are printed, not judged: another machine, or a busy one, is no fault of the code.
it('is told with what it costs for 10,000 users of ten entries each', () => {
  const chance = new Prng(7);
  const who = Array.from({ length: 10_000 }, (_, i) => {
    const entries = Array.from({ length: 10 }, (_, j) => ({
      ...anEntry(chance),
      resource: resourceIn(`Topic:t${i}-${j}-*`),
    }));
    return new Principal(`u${i}`, false, undefined, new CompiledPolicies(entries));
  });
  const run = (): number => {
    const sinceMs = systemClock.monotonicMs();
    who.forEach((one, i) => one.may(['pub'], 'topic', `t${i}-9-x`, '10.0.0.1:1'));
    return ((systemClock.monotonicMs() - sinceMs) * 1000) / who.length;
  };
  const figures = { firstUs: run(), cachedUs: run() };
  process.stdout.write(`decision: ${figures.firstUs.toFixed(2)} µs new, ${figures.cachedUs.toFixed(2)} µs again\n`);
  expect(figures).toEqual({ firstUs: expect.any(Number), cachedUs: expect.any(Number) });
});
