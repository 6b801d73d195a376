// Goal: what resources of Kubernetes ask for is in the cluster, stays so, and goes without loss; each says how it is. Method: the
// real controller over a directory and fake brokers, and a fake of the API of Kubernetes that it speaks to by TLS.
import { AuditLog } from '@cometmq/auth';
import { gateOf } from '@cometmq/auth';
import { FakeIdentities } from '@cometmq/auth/testing';
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { MessageType, queueId, queueOffset } from '@cometmq/model';
import { fieldOf, type KubernetesObject } from '@cometmq/rpc';
import { FakeKubernetesServer } from '@cometmq/rpc/testing';
import { MqError, Prng, sleep, systemClock as clock } from '@cometmq/shared';
import { silentLogger } from '@cometmq/telemetry';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { ResourceController } from './resource-controller.js';

jest.setTimeout(120_000);

const base = '/apis/cometmq.io/v1alpha1/namespaces/mq';
const [topics, groups, users] = [`${base}/comettopics`, `${base}/cometgroups`, `${base}/cometusers`];
const secrets = '/api/v1/namespaces/mq/secrets';
const events = '/api/v1/namespaces/mq/events';
const leases = '/apis/coordination.k8s.io/v1/namespaces/mq/leases';

describe('resources of Kubernetes', () => {
  let kubernetes: FakeKubernetesServer;
  let nameService: FakeNameService;
  let brokers: FakeBrokers;
  let directory: Directory;
  let identities: FakeIdentities;
  let gate: ReturnType<typeof gateOf>;
  let audit: AuditLog;
  const controllers: ResourceController[] = [];

  beforeEach(async () => {
    kubernetes = await FakeKubernetesServer.start([topics, groups, users, secrets, events, leases]);
    kubernetes.do('POST', leases, { metadata: { name: 'lease' } });
    [nameService, brokers] = [new FakeNameService({ tellsLate: true, graceMs: 60_000 }), new FakeBrokers()];
    brokers.states.set('broker-0', {});
    nameService.putSet({ name: 'broker-0' });
    directory = new Directory(nameService, clock);
    await directory.start();
    identities = new FakeIdentities();
    const config = { insecure: false, signatureAgeMsMax: 900_000, signatureLocalTimes: true };
    gate = gateOf({
      config,
      files: { keys: identities.keyFile, admin: undefined },
      identities,
      clock,
      log: silentLogger,
    });
    for (const part of gate.parts) await part.start();
    audit = new AuditLog(clock, undefined);
  });
  afterEach(async () => {
    for (const controller of controllers.splice(0)) await controller.stop();
    for (const part of gate.parts) await part.stop();
    await directory.stop();
    await kubernetes.stop();
  });

  async function control(identity = 'pod-1', withUsers = true): Promise<ResourceController> {
    const identity_ = gate.users && { ...gate.users, service: identities, clock, clusterName: 'DefaultCluster' };
    const controller = new ResourceController({
      context: {
        ...{ nameService, directory, brokers, clock, log: silentLogger, requestMsMax: 2_000, audit },
        identity: withUsers ? identity_ : undefined,
      },
      ...{ kubernetes: kubernetes.api(), chance: new Prng(1), lease: 'lease', identity },
      ...{ leaseMs: 3_000, resyncMs: 3_600_000 },
    });
    controllers.push(controller);
    await controller.start();
    return controller;
  }

  const apply = (collection: string, name: string, spec: object, annotations: object = {}): void => {
    const isThere = kubernetes.object(collection, name) !== undefined;
    const { status } = isThere
      ? kubernetes.do('PATCH', `${collection}/${name}`, { metadata: { annotations }, spec })
      : kubernetes.do('POST', collection, { metadata: { name, annotations }, spec });
    expect(status).toBeLessThan(300);
  };
  /** It is looked at again at once, and not only when its time has come. */
  const touch = (collection: string, name: string): void => {
    const annotations = { touched: String(clock.monotonicMs()) };
    kubernetes.do('PATCH', `${collection}/${name}`, { metadata: { annotations } });
  };
  const condition = (collection: string, name: string): KubernetesObject => {
    const found = fieldOf(kubernetes.object(collection, name), 'status', 'conditions');
    return (Array.isArray(found) ? (found[0] as KubernetesObject) : undefined) ?? {};
  };
  const isReady = (collection: string, name: string): boolean => {
    const object = kubernetes.object(collection, name);
    const generation = fieldOf(object, 'metadata', 'generation');
    return (
      condition(collection, name)['status'] === 'True' && fieldOf(object, 'status', 'observedGeneration') === generation
    );
  };
  const said = (): string[] =>
    [...(kubernetes.collections.get(events)?.values() ?? [])].map(
      ({ reason, message }) => `${String(reason)}: ${String(message)}`,
    );

  async function until(holds: () => boolean): Promise<void> {
    const alive = setInterval(() => undefined, 1_000);
    try {
      const startMs = clock.monotonicMs();
      while (!holds()) {
        if (clock.monotonicMs() - startMs > 60_000)
          throw new Error(`never came: ${holds.toString()}; ${said().join('; ')}`);
        await sleep(clock, 5);
      }
    } finally {
      clearInterval(alive);
    }
  }

  it('make topics, change them, and repair what somebody else changes', async () => {
    apply(topics, 'orders', { writeQueues: 4, retentionMs: 60_000, type: 'fifo' });
    await control();
    await until(() => isReady(topics, 'orders'));
    expect(directory.topic('orders')).toMatchObject({ writeQueues: 4, retentionMs: 60_000, type: MessageType.fifo });
    expect(kubernetes.object(topics, 'orders')).toMatchObject({
      metadata: { finalizers: ['cometmq.io/controller'] },
      status: { observedGeneration: 1, name: 'orders', conditions: [{ type: 'Ready', reason: 'Ready' }] },
    });

    apply(topics, 'orders', { retentionMs: 120_000 });
    await until(() => isReady(topics, 'orders') && directory.topic('orders')?.retentionMs === 120_000);
    expect(said()).toContain('Updated: retentionMs was 60000 and is 120000 now');

    await nameService.updateTopic('orders', { retentionMs: 240_000, permission: 'read' });
    await until(() => said().some((each) => each.startsWith('DriftRepaired')));
    await until(() => directory.topic('orders')?.retentionMs === 120_000);
    expect(said()).toContain('DriftRepaired: somebody else changed it: retentionMs was 240000 and is 120000 again');
    expect(directory.topic('orders')?.permission).toBe('read'); // Nobody asked for another one.
    expect(audit.page({}).items.map(({ operation, user }) => `${operation} by ${String(user)}`)).toEqual([
      'updateTopic by CometTopic orders',
      'updateTopic by CometTopic orders',
      'createTopic by CometTopic orders',
    ]);
  });

  it('restore a topic that somebody else deletes, with what it held', async () => {
    apply(topics, 'orders', {});
    await control();
    await until(() => isReady(topics, 'orders'));
    const { id } = directory.topic('orders') ?? {};
    await nameService.deleteTopic('orders');
    await until(() => directory.topic('orders') !== undefined);
    expect(directory.topic('orders')?.id).toBe(id);
    await until(() => said().some((each) => each.startsWith('Restored')));
  });

  it('make a topic anew that was deleted for good', async () => {
    apply(topics, 'orders', {});
    await control();
    await until(() => isReady(topics, 'orders'));
    const { id } = directory.topic('orders') ?? {};
    nameService.graceMs = 0;
    await nameService.deleteTopic('orders', { now: true });
    await until(() => (directory.topic('orders')?.id ?? id) !== id);
    await until(() => said().filter((each) => each.startsWith('Created')).length === 2);
  });

  it('make nothing anew that is not there though nobody deleted it, before the brokers know the metadata for theirs', async () => {
    apply(topics, 'orders', {});
    apply(groups, 'billing', {});
    await control();
    await until(() => isReady(topics, 'orders') && isReady(groups, 'billing'));
    brokers.states.set('broker-0', { metadataProblem: 'it is of another cluster' });
    nameService.lose('one by one');
    await until(() => condition(topics, 'orders')['reason'] === 'MetadataLost');
    await until(() => condition(groups, 'billing')['reason'] === 'MetadataLost');
    expect(condition(topics, 'orders')['message']).toMatch(/nobody has deleted it.*broker-0: it is of another cluster/);
    brokers.states.clear();
    touch(topics, 'orders');
    await until(() => /can't be reached/.test(String(condition(topics, 'orders')['message'])));
    expect([directory.topicCount, directory.groupCount]).toEqual([0, 0]);
    brokers.states.set('broker-0', {});
    touch(topics, 'orders');
    touch(groups, 'billing');
    await until(() => isReady(topics, 'orders') && isReady(groups, 'billing'));
    expect([directory.topicCount, directory.groupCount]).toEqual([1, 1]);
  });

  it('keep a topic with a backlog until it is consumed, or the annotation lets it go', async () => {
    apply(topics, 'orders', {});
    await control();
    await until(() => isReady(topics, 'orders'));
    const { id } = directory.topic('orders') ?? {};
    brokers.topics.set(id as never, {
      queues: [{ queueId: queueId(0), first: queueOffset(0), next: queueOffset(9), unread: 7 }],
      bytes: 1,
    });
    expect(kubernetes.do('DELETE', `${topics}/orders`).status).toBe(200);
    await until(() => condition(topics, 'orders')['reason'] === 'Backlog');
    expect(condition(topics, 'orders')['message']).toMatch(/7 messages are not consumed.*delete-with-backlog/);
    expect(directory.topic('orders')).toBeDefined();
    kubernetes.do('PATCH', `${topics}/orders`, {
      metadata: { annotations: { 'cometmq.io/delete-with-backlog': 'true' } },
    });
    await until(() => kubernetes.object(topics, 'orders') === undefined);
    expect(directory.topic('orders')).toBeUndefined();
    expect(nameService.deletions).toMatchObject([{ who: 'CometTopic orders' }]);
  });

  it('do not delete while a broker set does not say what it holds, nor what they do not own', async () => {
    apply(topics, 'orders', {});
    await control();
    await until(() => isReady(topics, 'orders'));
    brokers.states.clear();
    kubernetes.do('DELETE', `${topics}/orders`);
    await until(() => condition(topics, 'orders')['reason'] === 'Unavailable');
    expect(directory.topic('orders')).toBeDefined();
    brokers.states.set('broker-0', {});
    await until(() => kubernetes.object(topics, 'orders') === undefined);

    nameService.putTopic('other', { writeQueues: 3 });
    apply(topics, 'other', { writeQueues: 4 });
    await until(() => condition(topics, 'other')['reason'] === 'AlreadyExists');
    expect(condition(topics, 'other')['message']).toMatch(/writeQueues is 3 instead of 4.*cometmq\.io\/adopt/);
    kubernetes.do('DELETE', `${topics}/other`);
    await until(() => kubernetes.object(topics, 'other') === undefined);
    expect(directory.topic('other')).toBeDefined();
  });

  it('adopt what is there when it is as they ask, or the annotation says so', async () => {
    for (const name of ['same', 'other']) nameService.putTopic(name, { writeQueues: 3 });
    apply(topics, 'same', { writeQueues: 3 });
    apply(topics, 'other', { writeQueues: 4 }, { 'cometmq.io/adopt': 'true' });
    await control();
    await until(() => isReady(topics, 'same') && isReady(topics, 'other'));
    expect(directory.topic('other')?.writeQueues).toBe(4);
    expect(said().filter((each) => each.startsWith('Adopted'))).toHaveLength(2);
  });

  it('say what is wrong with them, and go on with the others', async () => {
    apply(topics, 'bad-type', { type: 'fast' });
    apply(topics, 'bad-number', { writeQueues: 'many' });
    apply(topics, 'bad-field', { colour: 'red' });
    apply(topics, 'bad-name', { name: 'TBW102' });
    apply(topics, 'good', {});
    apply(topics, 'rival', { name: 'good', writeQueues: 2 });
    apply(groups, 'bad-policy', { retryPolicy: { kind: 'never' } });
    apply(users, 'bad-resource', { policies: [{ resource: 'Nothing:x', actions: ['pub'] }] });
    await control();
    await until(() => isReady(topics, 'good'));
    await until(() => condition(topics, 'bad-name')['reason'] === 'IllegalTopic');
    await until(() => condition(topics, 'rival')['reason'] === 'NameTaken');
    for (const [collection, name] of [
      ...[[topics, 'bad-type'] as const, [topics, 'bad-number'] as const, [topics, 'bad-field'] as const],
      ...[[groups, 'bad-policy'] as const, [users, 'bad-resource'] as const],
    ]) {
      await until(() => condition(collection, name)['reason'] === 'Invalid');
    }
    expect(condition(topics, 'bad-number')['message']).toBe('spec.writeQueues must be a whole number, 1 to 1024');
    // Nothing of theirs is in the way of their deletion.
    for (const name of ['bad-type', 'bad-number', 'bad-field', 'bad-name'])
      kubernetes.do('DELETE', `${topics}/${name}`);
    await until(() => kubernetes.collections.get(topics)?.size === 2);
  });

  it('do not change what is fixed', async () => {
    apply(topics, 'orders', { type: 'fifo' });
    await control();
    await until(() => isReady(topics, 'orders'));
    apply(topics, 'orders', { type: 'normal' });
    await until(() => condition(topics, 'orders')['reason'] === 'Immutable');
    expect(directory.topic('orders')?.type).toBe(MessageType.fifo);
  });

  it('close queues to senders first, and to readers once they are consumed', async () => {
    apply(topics, 'orders', { writeQueues: 8, readQueues: 8 });
    await control();
    await until(() => isReady(topics, 'orders'));
    const { id } = directory.topic('orders') ?? {};
    const queue = (unread: number): void =>
      void brokers.topics.set(id as never, {
        queues: [{ queueId: queueId(6), first: queueOffset(0), next: queueOffset(9), unread }],
        bytes: 1,
      });
    queue(3);
    apply(topics, 'orders', { writeQueues: 4, readQueues: 4 });
    await until(() => condition(topics, 'orders')['reason'] === 'Conflict');
    expect(directory.topic('orders')).toMatchObject({ writeQueues: 4, readQueues: 8 });
    queue(0);
    await until(() => isReady(topics, 'orders'));
    expect(directory.topic('orders')).toMatchObject({ writeQueues: 4, readQueues: 4 });
    await until(() => said().filter((each) => each.startsWith('Updated')).length === 2);
    expect(said()).toEqual(
      expect.arrayContaining(['Updated: writeQueues was 8 and is 4 now', 'Updated: readQueues was 8 and is 4 now']),
    );
  });

  it('make groups, repair them, and delete them after the topics that they consume', async () => {
    apply(topics, 'orders', {});
    apply(groups, 'billing', { attemptsMax: 5, retryPolicy: { kind: 'customized', nextMs: [1_000] } });
    await control();
    await until(() => isReady(topics, 'orders') && isReady(groups, 'billing'));
    expect(directory.group('billing')).toMatchObject({ attemptsMax: 5, retryPolicy: { nextMs: [1_000] } });
    await nameService.updateGroup('billing', { attemptsMax: 9 });
    await until(() => directory.group('billing')?.attemptsMax === 5);

    const [topic, group] = [directory.topic('orders'), directory.group('billing')];
    const read = (committed: number): void =>
      void brokers.groups.set(group?.id as never, {
        queues: [
          {
            ...{ topicId: topic?.id as never, queueId: queueId(0), committed: queueOffset(committed) },
            ...{ frontier: queueOffset(committed), queueFirst: queueOffset(0), queueNext: queueOffset(9) },
            ...{ inFlight: 0, ready: 9 - committed, blocked: 0, lanes: 0 },
          },
        ],
        ...{ sums: [], members: [] },
      });
    const unread = (count: number): void =>
      void brokers.topics.set(topic?.id as never, {
        queues: [{ queueId: queueId(0), first: queueOffset(0), next: queueOffset(9), unread: count }],
        bytes: 1,
      });
    read(2);
    unread(7);
    kubernetes.do('DELETE', `${groups}/billing`);
    kubernetes.do('DELETE', `${topics}/orders`);
    await until(() => condition(groups, 'billing')['reason'] === 'Backlog');
    await until(() => condition(topics, 'orders')['reason'] === 'Backlog');
    expect(condition(groups, 'billing')['message']).toMatch(/it has not consumed 7 messages/);
    const gone: string[] = [];
    const unlisten = directory.onUpdate(({ kind }) => gone.push(kind));
    read(9);
    unread(0);
    touch(groups, 'billing');
    touch(topics, 'orders');
    await until(
      () => kubernetes.object(groups, 'billing') === undefined && kubernetes.object(topics, 'orders') === undefined,
    );
    unlisten();
    expect(gone.filter((kind) => kind.endsWith('Deleted'))).toEqual(['topicDeleted', 'groupDeleted']);
  });

  describe('users', () => {
    const held = (name: string): { accessKey: string; secretKey: string } => {
      const data = fieldOf(kubernetes.object(secrets, name), 'data') as Record<string, string>;
      const decoded = (field: string): string => Buffer.from(data[field] ?? '', 'base64').toString();
      return { accessKey: decoded('accessKey'), secretKey: decoded('secretKey') };
    };
    const secretOf = (name: string): string | undefined => gate.users?.book.secretOf(name)?.reveal();

    it('get a Secret of their own, keep it, and get another secret when that is asked for', async () => {
      apply(users, 'shop', { produce: ['orders'], consume: [{ topics: 'orders', group: 'billing' }] });
      await control();
      await until(() => isReady(users, 'shop'));
      const first = held('shop');
      expect(first).toEqual({ accessKey: 'shop', secretKey: secretOf('shop') });
      expect(first.secretKey.length).toBeGreaterThan(20);
      const { uid } = fieldOf(kubernetes.object(users, 'shop'), 'metadata') as { uid: string };
      expect(kubernetes.object(secrets, 'shop')).toMatchObject({
        metadata: { ownerReferences: [{ kind: 'CometUser', name: 'shop', uid }] },
      });
      expect(identities.policies.get('shop')?.entries.length).toBeGreaterThan(1);

      // Policies that somebody else changes are as before again, and so is the secret.
      await identities.setPolicies({ user: 'shop', entries: [] });
      identities.user('shop', 'another-secret');
      await until(
        () => (identities.policies.get('shop')?.entries.length ?? 0) > 1 && secretOf('shop') === first.secretKey,
      );

      apply(users, 'shop', {}, { 'cometmq.io/rotate-secret': '2026-11-30' });
      await until(() => held('shop').secretKey !== first.secretKey && secretOf('shop') === held('shop').secretKey);
      const second = held('shop');
      await until(() => isReady(users, 'shop'));

      // A Secret that is gone comes again with what clients have.
      kubernetes.do('DELETE', `${secrets}/shop`);
      apply(users, 'shop', { enabled: false });
      await until(() => isReady(users, 'shop') && kubernetes.object(secrets, 'shop') !== undefined);
      expect(held('shop')).toEqual(second);
      expect(identities.users.get('shop')?.enabled).toBe(false);
      const words = JSON.stringify([said(), audit.page({}), kubernetes.object(users, 'shop')]);
      for (const { secretKey } of [first, second]) expect(words).not.toContain(secretKey);

      kubernetes.do('DELETE', `${users}/shop`);
      await until(() => kubernetes.object(users, 'shop') === undefined);
      expect(identities.users.has('shop')).toBe(false);
    });

    it('that are there already give nothing away unless the annotation says so', async () => {
      identities.user('admin', 'the-admins-secret', { kind: 'super', createdMs: 5 });
      apply(users, 'admin', { kind: 'super' });
      await control();
      await until(() => condition(users, 'admin')['reason'] === 'AlreadyExists');
      expect(kubernetes.object(secrets, 'admin')).toBeUndefined();
      apply(users, 'admin', {}, { 'cometmq.io/adopt': 'true' });
      await until(() => isReady(users, 'admin'));
      expect(held('admin').secretKey).toBe('the-admins-secret');
      // Nobody could let anybody in again.
      kubernetes.do('DELETE', `${users}/admin`);
      await until(() => condition(users, 'admin')['reason'] === 'Conflict');
      expect(identities.users.has('admin')).toBe(true);
    });

    it('do not touch a Secret of somebody else', async () => {
      kubernetes.do('POST', secrets, { metadata: { name: 'shop' }, data: { password: 'eA==' } });
      apply(users, 'shop', {});
      await control();
      await until(() => condition(users, 'shop')['reason'] === 'SecretExists');
      expect(kubernetes.object(secrets, 'shop')).toMatchObject({ data: { password: 'eA==' } });
      expect(identities.users.has('shop')).toBe(false);
    });

    it('say that there are none where everybody may do everything', async () => {
      apply(users, 'shop', {});
      await control('pod-1', false);
      await until(() => condition(users, 'shop')['reason'] === 'Unsupported');
    });
  });

  it('are looked after by one of several processes, and by another one once it is gone', async () => {
    const first = await control('pod-1');
    await until(() => first.leads);
    const second = await control('pod-2');
    apply(topics, 'orders', {});
    await until(() => isReady(topics, 'orders'));
    expect(second.leads).toBe(false);
    expect(fieldOf(kubernetes.object(leases, 'lease'), 'spec', 'holderIdentity')).toBe('pod-1');
    await first.stop();
    apply(topics, 'bills', {});
    await until(() => isReady(topics, 'bills'));
    expect(second.leads).toBe(true);
  });

  it('are followed on when watches break, history is forgotten, and the name service is away', async () => {
    await control();
    apply(topics, 'one', {});
    await until(() => isReady(topics, 'one'));
    kubernetes.endWatches();
    apply(topics, 'two', {});
    await until(() => isReady(topics, 'two'));
    await until(() => kubernetes.watchCount === 3);
    kubernetes.forgetHistory();
    kubernetes.endWatches();
    nameService.failure = new MqError('UNAVAILABLE', 'the name service does not answer');
    apply(topics, 'three', {});
    await until(() => condition(topics, 'three')['reason'] === 'Unavailable');
    nameService.failure = undefined;
    await until(() => isReady(topics, 'three'));
  });

  describe('of several releases in the namespace', () => {
    let second: { readonly nameService: FakeNameService; readonly directory: Directory };
    const labelsOf = (release: string): object => ({
      ...{ 'app.kubernetes.io/part-of': 'cometmq', 'app.kubernetes.io/component': 'dashboard-api' },
      'app.kubernetes.io/instance': release,
    });
    const addSecond = (): void => {
      kubernetes.do('POST', leases, { metadata: { name: 'lease-b', labels: labelsOf('b') } });
    };
    beforeEach(async () => {
      kubernetes.do('PATCH', `${leases}/lease`, { metadata: { labels: labelsOf('a') } });
      kubernetes.do('POST', leases, {
        metadata: { name: 'of-somebody-else', labels: { 'app.kubernetes.io/instance': 'c' } },
      });
      const ofB = new FakeNameService({ tellsLate: true, graceMs: 60_000 });
      ofB.putSet({ name: 'broker-0' });
      second = { nameService: ofB, directory: new Directory(ofB, clock) };
      await second.directory.start();
    });
    afterEach(() => second.directory.stop());

    async function controlSecond(): Promise<ResourceController> {
      const controller = new ResourceController({
        context: {
          ...{ ...second, brokers, clock, log: silentLogger, requestMsMax: 2_000, audit },
          identity: undefined,
        },
        ...{ kubernetes: kubernetes.api(), chance: new Prng(2), lease: 'lease-b', identity: 'pod-b' },
        ...{ leaseMs: 3_000, resyncMs: 3_600_000 },
      });
      controllers.push(controller);
      await controller.start();
      return controller;
    }
    const releaseOf = (name: string): unknown => fieldOf(kubernetes.object(topics, name), 'status', 'release');

    it('are each of the one that they name, also by the same name in both', async () => {
      addSecond();
      apply(topics, 'orders', { release: 'a', writeQueues: 2 });
      apply(topics, 'orders-b', { name: 'orders', release: 'b', writeQueues: 3 });
      await control();
      await controlSecond();
      await until(() => isReady(topics, 'orders') && isReady(topics, 'orders-b'));
      expect([directory.topic('orders')?.writeQueues, second.directory.topic('orders')?.writeQueues]).toEqual([2, 3]);
      expect([releaseOf('orders'), releaseOf('orders-b')]).toEqual(['a', 'b']);
      kubernetes.do('DELETE', `${topics}/orders-b`);
      await until(() => kubernetes.object(topics, 'orders-b') === undefined);
      expect(second.directory.topic('orders')).toBeUndefined();
      expect(isReady(topics, 'orders')).toBe(true);
      expect(directory.topic('orders')).toBeDefined();
    });

    it('are of the one that had them first; new ones that name none are nobody’s, and say so', async () => {
      apply(topics, 'first', {});
      await control();
      await until(() => isReady(topics, 'first'));
      await controllers.pop()?.stop();
      addSecond();
      await control('pod-2');
      await controlSecond();
      apply(topics, 'nobodys', {});
      await until(() => condition(topics, 'nobodys')['reason'] === 'ReleaseNotNamed');
      expect(condition(topics, 'nobodys')['message']).toContain('spec.release to one of a, b');
      apply(topics, 'first', { writeQueues: 5 });
      await until(() => directory.topic('first')?.writeQueues === 5);
      apply(topics, 'nobodys', { release: 'b' });
      await until(() => isReady(topics, 'nobodys'));
      expect([...second.directory.topics()].map(({ name }) => name)).toEqual(['nobodys']);
      expect(directory.topic('nobodys')).toBeUndefined();
    });

    it('say so where nobody looks after the release that they name', async () => {
      apply(topics, 'orders', { release: 'gone' });
      await control();
      await until(() => condition(topics, 'orders')['reason'] === 'ReleaseNotFound');
      expect(condition(topics, 'orders')['message']).toContain('"gone"');
      expect(directory.topic('orders')).toBeUndefined();
    });

    it('stay those of a release that is away for a while', async () => {
      apply(topics, 'orders', {});
      await control();
      await until(() => isReady(topics, 'orders'));
      await controllers.pop()?.stop();
      kubernetes.do('DELETE', `${leases}/lease`);
      addSecond();
      await controlSecond();
      await until(() => condition(topics, 'orders')['reason'] === 'ReleaseAway');
      expect(condition(topics, 'orders')['message']).toMatch(/"a" has it.*spec\.release to give it to b/);
      expect(second.directory.topic('orders')).toBeUndefined();
      expect(releaseOf('orders')).toBe('a');
    });

    it('are made anew by the one that takes them over, which deletes nothing of its own with them', async () => {
      // What the other one had has the number of something else here.
      const { id } = await second.nameService.createTopic({ name: 'orders', writeQueues: 8 });
      addSecond();
      apply(topics, 'orders', {});
      const status = { id, name: 'orders', release: 'a', observedGeneration: 1 };
      kubernetes.do('PATCH', `${topics}/orders/status`, { status });
      kubernetes.do('PATCH', `${topics}/orders`, { metadata: { finalizers: ['cometmq.io/controller'] } });
      kubernetes.do('DELETE', `${leases}/lease`);
      kubernetes.do('PATCH', `${topics}/orders`, { spec: { writeQueues: 4, release: 'b' } });
      await controlSecond();
      await until(() => condition(topics, 'orders')['reason'] === 'AlreadyExists');
      expect(fieldOf(kubernetes.object(topics, 'orders'), 'status', 'id')).toBeUndefined();
      kubernetes.do('DELETE', `${topics}/orders`);
      await until(() => kubernetes.object(topics, 'orders') === undefined);
      expect(second.directory.topic('orders')?.writeQueues).toBe(8);
    });

    it('have an identity of nobody’s cluster where their status names no release and there are several', async () => {
      const { id } = await second.nameService.createTopic({ name: 'orders', writeQueues: 8 });
      addSecond();
      apply(topics, 'orders', { release: 'b', writeQueues: 4 });
      kubernetes.do('PATCH', `${topics}/orders/status`, { status: { id, name: 'orders', observedGeneration: 1 } });
      kubernetes.do('PATCH', `${topics}/orders`, { metadata: { finalizers: ['cometmq.io/controller'] } });
      await controlSecond();
      await until(() => condition(topics, 'orders')['reason'] === 'AlreadyExists');
      expect(second.directory.topic('orders')?.writeQueues).toBe(8);
      kubernetes.do('DELETE', `${topics}/orders`);
      await until(() => kubernetes.object(topics, 'orders') === undefined);
      expect(second.directory.topic('orders')?.id).toBe(id);
    });

    it('keep the identity that a status without a release gives where there is one release', async () => {
      const { id } = await nameService.createTopic({ name: 'orders', writeQueues: 8 });
      apply(topics, 'orders', { writeQueues: 4 });
      kubernetes.do('PATCH', `${topics}/orders/status`, { status: { id, name: 'orders', observedGeneration: 1 } });
      await control();
      await until(() => isReady(topics, 'orders'));
      expect([releaseOf('orders'), directory.topic('orders')?.id, directory.topic('orders')?.writeQueues]).toEqual([
        ...['a', id, 4],
      ]);
    });

    it('wait while it can not be found out which releases there are', async () => {
      apply(topics, 'orders', {});
      kubernetes.refuse = { path: /leases$/, status: 403 };
      await control();
      await until(() => kubernetes.asked.filter((each) => each.includes('/leases?')).length > 1);
      expect([directory.topic('orders'), kubernetes.object(topics, 'orders')]).toMatchObject([
        undefined,
        { metadata: {} },
      ]);
      expect(fieldOf(kubernetes.object(topics, 'orders'), 'metadata', 'finalizers')).toBeUndefined();
      kubernetes.refuse = undefined;
      await until(() => isReady(topics, 'orders'));
    });
  });
});
