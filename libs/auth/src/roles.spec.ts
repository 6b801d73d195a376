// Goal: a provider's groups give what the settings say and nothing more. Method: the mapping alone, without a provider.
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { IdentityBook } from './identity-book.js';
import { resourceIn } from './policies.js';
import { externalIdentity, ExternalPrincipals, rolesOfGroups } from './roles.js';
import { FakeIdentities } from './testing.js';

const reasonOf = (act: () => unknown): string => {
  try {
    act();
    return 'nothing is wrong';
  } catch (caught) {
    return `${MqError.from(caught).code} ${MqError.from(caught).reason}`;
  }
};

it.each([
  ['ops', 'must be <group>=<role>'],
  ['=admin', 'must be <group>=<role>'],
  ['ops=root', 'must be <group>=<role>'],
  ['ops=user:', 'must be <group>=<role>'],
  ['ops=user:a b', 'must be <group>=<role>'],
  ['ops=constructor', 'must be <group>=<role>'],
])('refuses the mapping %j', (pair, why) => {
  expect(reasonOf(() => rolesOfGroups([pair]))).toContain(`CONFIG oidcRoles: "${pair}": ${why}`);
});

it('refuses a group that stands twice, and takes one with an equals sign in its name', () => {
  expect(reasonOf(() => rolesOfGroups(['a=viewer', 'a=admin']))).toContain('group "a" stands twice');
  expect([...rolesOfGroups(['cn=ops=admin'])]).toEqual([['cn=ops', 'admin']]);
});

it('joins the roles of several groups; admin has all', () => {
  const mapping = rolesOfGroups(['a=viewer', 'b=user:x', 'c=admin', 'd=viewer']);
  expect(externalIdentity('ada', ['a', 'b', 'd', 'other'], mapping)).toEqual({
    name: 'oidc:ada',
    roles: ['user:x', 'viewer'],
  });
  expect(externalIdentity('ada', ['a', 'c'], mapping).roles).toEqual(['admin']);
  expect(reasonOf(() => externalIdentity('ada', ['other'], mapping))).toMatch(/^FORBIDDEN no group of oidc:ada/);
  const many = Array.from({ length: 9 }, (_, i) => `g${i}`);
  const mappingOfMany = rolesOfGroups(many.map((group, i) => `${group}=user:u${i}`));
  expect(reasonOf(() => externalIdentity('ada', many, mappingOfMany))).toContain('at most 8 are taken');
});

it('gives what a role is for, and a deny of a user’s wins over a viewer’s right', async () => {
  const identities = new FakeIdentities();
  const book = new IdentityBook({ source: identities, box: identities.box, clock: new ManualClock() });
  await book.start();
  await Promise.resolve();
  identities.user('x', 'x-secret-1');
  identities.user('boss', 'boss-secret', { kind: 'super' });
  const external = new ExternalPrincipals(book);
  const may = (roles: string[], action: 'get' | 'update' | 'pub'): boolean =>
    external.of({ name: 'oidc:ada', roles }).may([action], 'topic', 'orders', undefined);
  expect([may(['viewer'], 'get'), may(['viewer'], 'update'), may(['viewer'], 'pub')]).toEqual([true, false, false]);
  expect([may(['operator'], 'get'), may(['operator'], 'update'), may(['operator'], 'pub')]).toEqual([
    true,
    true,
    false,
  ]);
  expect([may(['user:x'], 'get'), may(['user:nobody'], 'get'), may(['user:boss'], 'pub')]).toEqual([
    false,
    false,
    true,
  ]);
  const held = external.of({ name: 'oidc:ada', roles: ['user:x', 'viewer'] });
  const resource = resourceIn('Topic:orders');
  identities.allow('x', { policy: 'custom', resource, actions: ['get'], sourceIps: [], decision: 'deny' });
  expect(held.current).toBe(false);
  expect(may(['user:x', 'viewer'], 'get')).toBe(false);
});

it('takes nobody whose name ends like a role for somebody who has it', () => {
  const identities = new FakeIdentities();
  const external = new ExternalPrincipals(
    new IdentityBook({ source: identities, box: identities.box, clock: new ManualClock() }),
  );
  const bob = external.of({ name: 'oidc:bob', roles: ['operator', 'viewer'] });
  const other = external.of({ name: 'oidc:bob operator', roles: ['viewer'] });
  expect([bob.name, other.name]).toEqual(['oidc:bob', 'oidc:bob operator']);
  expect(bob.may(['update'], 'topic', 'orders', undefined)).toBe(true);
  expect(other.may(['update'], 'topic', 'orders', undefined)).toBe(false);
});
