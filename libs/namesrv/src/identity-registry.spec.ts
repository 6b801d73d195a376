/**
 * Goal: users and policies are changed from anywhere, told to whoever watches them, and to nobody else. Method: two instances
 * before one store, spoken to over real gRPC.
 */
import { SecretBox, Secret } from '@cometmq/auth';
import { GrpcIdentityService, type DirectoryUpdate, type IdentityService } from '@cometmq/client';
import { MemoryStore, type MetadataStore } from '@cometmq/metadata';
import { until } from '@cometmq/metadata/testing';
import type { IdentityUpdate, PolicyEntry, UserPolicies } from '@cometmq/model';
import { GrpcJsChannel } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { MqError, systemClock as clock, type Component } from '@cometmq/shared';

import { identityDoor } from './identity-door.js';
import { IdentityRegistry } from './identity-registry.js';
import { NamesrvService } from './namesrv-service.js';

const running: Component[] = [];
afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop();
});
async function started<T extends Component>(part: T): Promise<T> {
  running.push(part);
  await part.start();
  return part;
}

const box = SecretBox.of(SecretBox.newFile('k1'));
const draft = (name: string) => ({
  name,
  kind: 'normal' as const,
  enabled: true,
  secret: box.seal(new Secret(`${name}-secret`), name),
});
const entry: PolicyEntry = {
  policy: 'custom',
  resource: { type: 'topic', match: 'prefix', name: 'orders-' },
  actions: ['pub', 'get'],
  sourceIps: ['10.0.0.0/8'],
  decision: 'allow',
};

/** A store in whose place another can come, as when its disk is emptied or set back to a backup. */
class ReplacedStore implements MetadataStore {
  readonly name = 'metadata';
  private readonly watches = new Set<() => void>();

  constructor(private now: MetadataStore) {}

  by(other: MetadataStore): void {
    this.now = other;
    for (const begin of [...this.watches]) begin();
  }

  readonly start = () => Promise.resolve();
  readonly stop = () => Promise.resolve();
  readonly get: MetadataStore['get'] = (key) => this.now.get(key);
  readonly range: MetadataStore['range'] = (prefix) => this.now.range(prefix);
  readonly commit: MetadataStore['commit'] = (transaction) => this.now.commit(transaction);
  readonly grantLease: MetadataStore['grantLease'] = (ttlMs) => this.now.grantLease(ttlMs);
  readonly keepLease: MetadataStore['keepLease'] = (id) => this.now.keepLease(id);
  readonly revokeLease: MetadataStore['revokeLease'] = (id) => this.now.revokeLease(id);

  watch(...[prefix, listener]: Parameters<MetadataStore['watch']>): () => void {
    let unwatch = (): void => undefined;
    const begin = (): void => {
      unwatch();
      unwatch = this.now.watch(prefix, listener);
    };
    begin();
    this.watches.add(begin);
    return () => {
      this.watches.delete(begin);
      unwatch();
    };
  }
}

async function cluster(store: MetadataStore, usersMax?: number) {
  const unreadable: string[] = [];
  const refused: string[] = [];
  const instance = async () => {
    const names = await started(new NamesrvService({ store, clock, autoCreateTopics: false, autoCreateGroups: false }));
    const registry = await started(
      new IdentityRegistry({
        store,
        clock,
        clusterId: () => names.clusterId,
        ...(usersMax !== undefined && { usersMax }),
        unreadable: (key) => unreadable.push(key),
        refused: (reason) => refused.push(reason),
      }),
    );
    const door = identityDoor(registry);
    const log = (message: string, cause: unknown): void => {
      throw new Error(message, { cause });
    };
    const server = await started(new GrpcJsServer({ host: '127.0.0.1', port: 0, clock, services: [door], log }));
    server.onStopping(() => door.close());
    return { names, registry, server, address: `127.0.0.1:${server.port}` };
  };
  return { instance, unreadable, refused };
}

async function serviceAt(refused: string[], ...addresses: string[]): Promise<GrpcIdentityService> {
  const connect = (address: string): GrpcJsChannel => new GrpcJsChannel({ address, clock });
  return started(
    new GrpcIdentityService({
      nameServers: { addresses },
      clock,
      connect,
      onRefused: (reason) => void refused.push(reason),
    }),
  );
}

async function opened() {
  const store = await started(new MemoryStore(clock));
  const { instance, unreadable } = await cluster(store);
  const [first, second] = [await instance(), await instance()];
  const service = await serviceAt([], first.address, second.address);
  return { store, first, second, service, unreadable };
}

function follow(source: IdentityService): IdentityUpdate[] {
  const updates: IdentityUpdate[] = [];
  source.watch((update) => updates.push(update));
  return updates;
}
const codeOf = async (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'OK',
    (caught: unknown) => MqError.from(caught).code,
  );

it('tells every watcher of every change, and the directory of none', async () => {
  const { first, second, service } = await opened();
  const directory: DirectoryUpdate[] = [];
  first.names.watch((update) => directory.push(update));
  const remote = follow(service);
  const beside = follow(second.registry);
  await until('an update comes', () => remote.length > 0 && beside.length > 0);

  const made = await service.createUser(draft('ann'));
  await service.setPolicies({ user: 'ann', entries: [entry] });
  const changed = await service.updateUser('ann', { enabled: false, quota: { requestsPerSecond: 5 } });
  await service.deleteUser('ann');

  expect(made).toMatchObject({ name: 'ann', kind: 'normal', enabled: true, secretVersion: 1 });
  expect(changed).toMatchObject({ enabled: false, secretVersion: 1, quota: { requestsPerSecond: 5 } });
  for (const updates of [remote, beside]) {
    await until('the update comes', () => updates.some(({ kind }) => kind === 'policiesDeleted'));
    const [snapshot, ...rest] = updates;
    expect(snapshot).toMatchObject({ kind: 'snapshot', users: [], policies: [] });
    expect(rest.map((update) => ({ ...update, revision: 0 }))).toEqual([
      { kind: 'user', revision: 0, user: made },
      { kind: 'policies', revision: 0, policies: { user: 'ann', entries: [entry] } },
      { kind: 'user', revision: 0, user: changed },
      { kind: 'userDeleted', revision: 0, name: 'ann' },
      { kind: 'policiesDeleted', revision: 0, user: 'ann' },
    ]);
  }
  expect(JSON.stringify(directory)).not.toContain('ann');
});

it('gives who comes later the whole, and goes on with another instance', async () => {
  const { first, second, service } = await opened();
  for (let i = 0; i < 450; i += 1) await first.registry.createUser(draft(`user-${i}`));
  await first.registry.setPolicies({ user: 'user-3', entries: [entry] });
  const updates = follow(service);
  await until('an update comes', () => updates.length > 0);
  expect(updates[0]).toMatchObject({ kind: 'snapshot', policies: [{ user: 'user-3' }] });
  expect(updates[0]?.kind === 'snapshot' && updates[0].users).toHaveLength(450);
  await first.server.stop();
  await second.registry.deleteUser('user-3');
  await until('the update comes', () =>
    updates.some((update) => update.kind === 'snapshot' && update.users.length === 449),
  );
});

it('refuses what can not be, and changes nothing by it', async () => {
  const { service } = await opened();
  await service.createUser(draft('ann'));
  expect(await codeOf(service.createUser(draft('ann')))).toBe('ALREADY_EXISTS');
  expect(await codeOf(service.createUser(draft('a b')))).toBe('BAD_REQUEST');
  expect(await codeOf(service.createUser({ ...draft('bob'), kind: 'root' as 'super' }))).toBe('BAD_REQUEST');
  expect(await codeOf(service.updateUser('bob', { enabled: true }))).toBe('NOT_FOUND');
  expect(await codeOf(service.deleteUser('bob'))).toBe('NOT_FOUND');
  expect(await codeOf(service.setPolicies({ user: 'bob', entries: [entry] }))).toBe('NOT_FOUND');
  expect(await codeOf(service.setPolicies({ user: 'ann', entries: [{ ...entry, sourceIps: ['x'] }] }))).toBe(
    'BAD_REQUEST',
  );
  const quota = { requestsPerSecond: -1 };
  expect(await codeOf(service.updateUser('ann', { quota }))).toBe('BAD_REQUEST');
});

// Goal: however many are made at once, and by whom, there are never more than may be. Method: two instances, each asked for more.
it('makes no more users than may be, of those that come at once', async () => {
  const store = await started(new MemoryStore(clock));
  const { instance } = await cluster(store, 3);
  const [first, second] = [await instance(), await instance()];
  const updates = follow(first.registry);
  await until('an update comes', () => updates.length > 0);
  const asked = [first, second].flatMap(({ registry }, at) =>
    Array.from({ length: 4 }, (_, i) => codeOf(registry.createUser(draft(`user-${at}-${i}`)))),
  );
  expect((await Promise.all(asked)).sort()).toEqual([...Array<string>(5).fill('FORBIDDEN'), 'OK', 'OK', 'OK']);
  const [one, ...others] = (await store.range('identities/users/')).pairs;
  expect(others).toHaveLength(2);
  const { name } = JSON.parse(one!.value) as { name: string };
  expect(await codeOf(second.registry.createUser(draft(name)))).toBe('ALREADY_EXISTS');
  await first.registry.deleteUser(name);
  await until('it is deleted', () => updates.some(({ kind }) => kind === 'userDeleted'));
  expect(await codeOf(first.registry.createUser(draft('another')))).toBe('OK');
});

// Goal: what a caller has given up is not done when the instance gets to it: it may have been undone since. Method: a caller that
// gives up while the store has yet to say what it holds.
it('does nothing late for a caller that has given up', async () => {
  const { store, first, second } = await opened();
  await second.registry.createUser(draft('bob'));
  await second.registry.createUser(draft('eve'));
  const asker = { cancelled: false };
  const asked = [
    first.registry.createUser(draft('ann'), asker),
    first.registry.updateUser('bob', { enabled: false }, asker),
    first.registry.setPolicies({ user: 'bob', entries: [entry] }, undefined, asker),
    first.registry.deleteUser('eve', asker),
  ].map(codeOf);
  asker.cancelled = true;
  expect(await Promise.all(asked)).toEqual(Array(4).fill('CANCELLED'));
  const { pairs } = await store.range('identities/users/');
  expect(pairs.map(({ value }) => JSON.parse(value) as object)).toMatchObject([
    { name: 'bob', enabled: true },
    { name: 'eve' },
  ]);
  expect((await store.range('identities/policies/')).pairs).toEqual([]);
});

it('lets no change of two at once be lost', async () => {
  const { first, second } = await opened();
  await first.registry.createUser(draft('ann'));
  const secret = box.seal(new Secret('new-secret'), 'ann');
  await Promise.all([
    first.registry.updateUser('ann', { secret }),
    second.registry.updateUser('ann', { secret }),
    first.registry.updateUser('ann', { enabled: false }),
  ]);
  const changed = await second.registry.updateUser('ann', {});
  expect(changed).toMatchObject({ secretVersion: 3, enabled: false });
  const reseal = { secret, resealed: true, secretWas: changed.secret.box };
  expect(await first.registry.updateUser('ann', reseal)).toMatchObject({ secretVersion: 3 });
  const older = { ...reseal, secretWas: box.seal(new Secret('another'), 'ann').box };
  expect(await codeOf(first.registry.updateUser('ann', older))).toBe('CONFLICT');
  // A process of an older release does not say what it opened.
  expect(await codeOf(first.registry.updateUser('ann', { secret, resealed: true }))).toBe('CONFLICT');
});

it.each(['no record', '{}', '{"name":"ann"}', '[]'])(
  'goes on with what it knew where somebody wrote something else by hand: %s',
  async (value) => {
    const { first, store, unreadable } = await opened();
    await first.registry.createUser(draft('ann'));
    await first.registry.setPolicies({ user: 'ann', entries: [] });
    const hands = ['users/ann', 'users/bob', 'policies/ann', 'revoked/1'];
    await store.commit({ compare: [], puts: hands.map((key) => ({ key: `identities/${key}`, value })) });
    const updates = follow(first.registry);
    await until('an update comes', () => new Set(unreadable).size === hands.length && updates.length > 0);
    expect(updates.at(-1)).toMatchObject({ kind: 'snapshot', users: [{ name: 'ann' }], policies: [], revoked: [] });
    expect(updates).toHaveLength(1);
  },
);

/** Who is known, by the updates told. */
function namesIn(updates: readonly IdentityUpdate[]): string[] {
  const names = new Set<string>();
  for (const update of updates) {
    if (update.kind === 'snapshot') names.clear();
    if (update.kind === 'snapshot') for (const { name } of update.users) names.add(name);
    if (update.kind === 'user') names.add(update.user.name);
    if (update.kind === 'userDeleted') names.delete(update.name);
  }
  return [...names].sort();
}

// Goal: only a deletion that was recorded takes a user away, and only a word of an operator brings one back. Method: another
// store comes in the place of the one that was known: an empty one, one of another cluster, an older state of the same.
describe('users outlast a store that shows less', () => {
  const copyOf = async (store: MetadataStore): Promise<MemoryStore> => {
    const copy = await started(new MemoryStore(clock));
    const { pairs } = await store.range('');
    await copy.commit({
      compare: [],
      puts: pairs.filter(({ lease }) => !lease).map(({ key, value }) => ({ key, value })),
    });
    return copy;
  };

  it.each(['empty', 'of another cluster', 'set back'])('%s', async (which) => {
    const store = await started(new MemoryStore(clock));
    const held = new ReplacedStore(store);
    const { instance, refused } = await cluster(held);
    const { registry } = await instance();
    await registry.createUser(draft('gone'));
    const older = await copyOf(store);
    await registry.createUser(draft('ann'));
    await registry.deleteUser('gone');
    for (let i = 0; i < 20; i += 1) await registry.updateUser('ann', { quota: { requestsPerSecond: i + 1 } });
    const updates = follow(registry);
    await until('ann is known', () => namesIn(updates).includes('ann'));

    const other = await started(new MemoryStore(clock));
    if (which === 'of another cluster') {
      const stranger = await (await cluster(other)).instance();
      await stranger.registry.createUser(draft('stranger'));
    }
    held.by(which === 'set back' ? older : other);
    await until('it is refused', () => refused.length > 0);
    expect(namesIn(updates)).toEqual(['ann']);

    held.by(store);
    const told = updates.length;
    await until('the right one is back', () => updates.length > told);
    expect(namesIn(updates)).toEqual(['ann']);
    await (await (await cluster(store)).instance()).registry.createUser(draft('bob'));
    await until('bob is known', () => namesIn(updates).includes('bob'));
  });

  it('though all instances know no better, until the cluster is brought back there', async () => {
    const { instance } = await cluster(await started(new MemoryStore(clock)));
    const first = await instance();
    await first.registry.createUser(draft('ann'));
    const other = await started(new MemoryStore(clock));
    const second = await (await cluster(other)).instance();
    await second.registry.createUser(draft('stranger'));
    const refused: string[] = [];
    const updates = follow(await serviceAt(refused, first.address, second.address));
    await until('ann is known', () => namesIn(updates).includes('ann'));
    await first.server.stop();
    await until('it is refused', () => refused.length > 0);
    expect(namesIn(updates)).toEqual(['ann']);
    const lineage = { generation: 2, replaced: [first.names.clusterId] };
    await other.commit({ compare: [], puts: [{ key: 'clusterLineage', value: JSON.stringify(lineage) }] });
    await until('its own are known', () => namesIn(updates).includes('stranger'));
    expect(namesIn(updates)).toEqual(['stranger']);
  });
});

it('tells everybody of tokens that were ended, and forgets those that would have ended by themselves', async () => {
  const { store, second, service } = await opened();
  const remote = follow(service);
  await until('the whole comes', () => remote.length > 0);
  const nowMs = clock.wallMs();
  const token = { id: 'Abc_-9', untilMs: nowMs + 60_000 };
  await service.revokeToken({ id: 'old', untilMs: nowMs - 2 * 3_600_000 });
  await service.revokeToken(token);
  await until('it is told', () => remote.some((one) => one.kind === 'tokenRevoked' && one.token.id === token.id));
  await service.revokeToken({ id: 'next', untilMs: token.untilMs });
  const kept = (await store.range('identities/revoked/')).pairs.map(({ key }) => key);
  expect(kept).toEqual(['identities/revoked/Abc_-9', 'identities/revoked/next']);
  const later = follow(second.registry);
  await until('the whole comes', () => later.length > 0);
  const [whole] = later;
  expect(whole?.kind === 'snapshot' && whole.revoked).toEqual(expect.arrayContaining([token]));
  for (const wrong of [
    { ...token, id: '../users/ann' },
    { ...token, id: '' },
    { ...token, untilMs: 0 },
  ]) {
    expect(await codeOf(service.revokeToken(wrong))).toBe('BAD_REQUEST');
  }
});

it('never loses its last super user, however many are taken away at once', async () => {
  const { first, second, service } = await opened();
  for (const name of ['ann', 'bob', 'cy']) await service.createUser({ ...draft(name), kind: 'super' });
  const asked = [
    first.registry.deleteUser('ann'),
    second.registry.updateUser('bob', { enabled: false }),
    first.registry.updateUser('cy', { kind: 'normal' }),
  ];
  const codes = await Promise.all(asked.map(codeOf));
  expect(codes.sort()).toEqual(['CONFLICT', 'OK', 'OK']);
});

it('loses no policy of two that are added at once', async () => {
  const { first, second, service } = await opened();
  await service.createUser(draft('ann'));
  const other: PolicyEntry = { ...entry, decision: 'deny' };
  const added = [
    first.registry.setPolicies({ user: 'ann', entries: [entry] }, []),
    service.setPolicies({ user: 'ann', entries: [other] }, []),
  ];
  expect((await Promise.all(added.map(codeOf))).sort()).toEqual(['CONFLICT', 'OK']);
  const updates = follow(second.registry);
  await until('they come', () => updates.some((one) => one.kind === 'policies' || policiesIn(one).length > 0));
  const kept = updates.flatMap((one) => (one.kind === 'policies' ? one.policies : policiesIn(one)))[0]?.entries;
  expect(await codeOf(service.setPolicies({ user: 'ann', entries: [entry, other] }, kept))).toBe('OK');
  expect(await codeOf(service.setPolicies({ user: 'ann', entries: [] }, kept))).toBe('CONFLICT');
});

function policiesIn(update: IdentityUpdate): readonly UserPolicies[] {
  return update.kind === 'snapshot' ? update.policies : [];
}
