// Goal: what policies can't mean is refused with what is allowed, before it is stored.
import type { PolicyEntry } from '@cometmq/model';

import { addressBlock, addressOf, isWithin } from './address.js';
import { checkedPolicies, resourceIn, resourceText } from './policies.js';

it.each(['Topic:orders', 'Topic:orders-*', 'Group:*', 'Cluster:DefaultCluster', 'Topic:%DLQ%billing', '*'])(
  'reads and writes the resource %s',
  (text) => {
    expect(resourceText(resourceIn(text))).toBe(text);
  },
);

it.each(['', 'orders', 'Topic:', 'Topic:a*b', 'Topic:../../x', 'Any:x', 'Topic:a b', 'Topic:\u0000', 'Topic:**'])(
  'refuses the resource %j',
  (text) => {
    expect(() => resourceIn(text)).toThrow('allowed are Cluster:');
  },
);

it.each(['10.0.0.0/33', '10.0.0', '1.2.3.4/-1', 'localhost', '10.0.0.0/8/8', '::1/129', '', '1.2.3.4/x'])(
  'refuses the source address %j',
  (text) => {
    expect(() => addressBlock(text)).toThrow('an IP address or a block');
  },
);

it('knows a caller by either form of its address', () => {
  const blocks = [addressBlock('10.0.0.0/8'), addressBlock('2001:db8::/32')];
  const isInside = (peer: string): boolean => {
    const address = addressOf(peer);
    return address !== undefined && isWithin(address, blocks);
  };
  const inside = ['10.255.0.1:80', '[::ffff:10.0.0.1]:80', '[::ffff:a00:1]:80', '[2001:db8:1::5]:80'];
  expect(inside.filter(isInside)).toEqual(inside);
  expect(['11.0.0.1:80', '[2001:db9::1]:80', 'unix', ''].filter(isInside)).toEqual([]);
});

it('refuses entries that mean nothing', () => {
  const good: PolicyEntry = {
    policy: 'custom',
    resource: resourceIn('Topic:a'),
    actions: ['pub'],
    sourceIps: [],
    decision: 'allow',
  };
  const check = (change: object) => () => checkedPolicies({ user: 'u', entries: [{ ...good, ...change }] });
  expect(check({})).not.toThrow();
  expect(check({ actions: [] })).toThrow('allowed are all, pub');
  expect(check({ actions: ['fly'] })).toThrow('"fly"');
  expect(check({ decision: 'perhaps' })).toThrow('allow or deny');
  expect(check({ policy: 'other' })).toThrow('custom or default');
  expect(check({ sourceIps: ['x'] })).toThrow('source address');
  expect(check({ resource: { type: 'topic', match: 'literal', name: '' } })).toThrow('resource');
  expect(check({ resource: { type: 'topic', match: 'suffix', name: 'a' } })).toThrow('resource');
  expect(() => checkedPolicies({ user: 'u', entries: new Array<PolicyEntry>(1_001).fill(good) })).toThrow(
    'at most 1000',
  );
});
