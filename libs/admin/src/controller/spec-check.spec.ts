// Goal: whatever a spec holds, it is either as its schema says, or there are words for why not. Method: cases, and garbage by seed.
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { specFault } from './spec-check.js';
import { groupSpec, topicSpec, userSpec } from './spec-schemas.js';

it.each([
  [topicSpec, {}],
  [topicSpec, { name: 'a', type: 'fifo', writeQueues: 1, readQueues: 1024, permission: 'read', retentionMs: 0 }],
  [groupSpec, { fifo: true, attemptsMax: 3, retryPolicy: { kind: 'customized', nextMs: [1] }, start: { at: 'end' } }],
  [groupSpec, { retryPolicy: { kind: 'exponential', initialMs: 1, maxMs: 2, multiplier: 1.5 }, lite: { topic: 't' } }],
  [userSpec, { produce: ['a*'], policies: [{ resource: 'Topic:a', actions: ['pub'], sourceIps: ['10.0.0.0/8'] }] }],
])('finds nothing wrong with %#', (schema, spec) => expect(specFault(schema, spec)).toBeUndefined());

it.each([
  [topicSpec, { writeQueues: 0 }, 'spec.writeQueues must be a whole number, 1 to 1024'],
  [topicSpec, { writeQueues: 1.5 }, 'spec.writeQueues must be a whole number, 1 to 1024'],
  [topicSpec, { type: 'fast' }, /^spec\.type must be one of normal, fifo,/],
  [topicSpec, { name: '' }, 'spec.name must have 1 to 127 characters'],
  [topicSpec, { name: 'a b' }, /^spec\.name must match/],
  [topicSpec, { colour: 1 }, /^spec: unknown field "colour"; allowed are name, type/],
  [topicSpec, { constructor: 1 }, /^spec: unknown field "constructor"/],
  [groupSpec, { fifo: 'yes' }, 'spec.fifo must be true or false'],
  [groupSpec, { retryPolicy: 5 }, 'spec.retryPolicy.kind must be one of exponential, customized'],
  [groupSpec, { retryPolicy: { kind: 'customized' } }, 'spec.retryPolicy.nextMs is missing'],
  [groupSpec, { retryPolicy: { kind: 'customized', nextMs: [] } }, 'spec.retryPolicy.nextMs must have 1 to 64 entries'],
  [groupSpec, { retryPolicy: { kind: 'customized', nextMs: [1, -1] } }, /^spec\.retryPolicy\.nextMs\[1\] must be/],
  [groupSpec, { lite: [] }, 'spec.lite must have fields'],
  [userSpec, { produce: 'a' }, 'spec.produce must be a list'],
  [userSpec, { produce: [1] }, 'spec.produce[0] must be a text'],
])('says what is wrong with %#', (schema, spec, said) => expect(specFault(schema, spec)).toMatch(said));

it.each(seeds(100))('has an answer to everything (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const names = [
    'name',
    'type',
    'retryPolicy',
    'kind',
    'lite',
    'policies',
    'actions',
    '__proto__',
    'toString',
    'quota',
  ];
  const any = (depth: number): unknown => {
    const choice = chance.below(depth > 3 ? 6 : 8);
    if (choice === 6) return Array.from({ length: chance.below(4) }, () => any(depth + 1));
    if (choice === 7) {
      return Object.fromEntries(
        Array.from({ length: chance.below(4) }, () => [names[chance.below(10)], any(depth + 1)]),
      );
    }
    return [null, true, 'customized', -1, 1e300, ''][choice];
  };
  for (const schema of [topicSpec, groupSpec, userSpec]) {
    const said = specFault(schema, any(0));
    expect(said === undefined || said.startsWith('spec')).toBe(true);
  }
});
