import { defaultAttemptsMax, defaultRetryPolicy, liteGroupDefaults, MessageType } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { DirectoryUpdate, NameService } from '../name-service.js';

/** A name service that knows nothing yet, makes topics and groups on first use, and gives a topic 8 queues. */
export interface OpenedNameService {
  readonly nameService: NameService;
  close(): Promise<void>;
}

async function code(asked: Promise<unknown>): Promise<string> {
  return asked.then(
    () => 'no error',
    (caught: unknown) => MqError.from(caught).code,
  );
}

/** What every `NameService` promises. One text, run against each of them; `graceMs` is how long deletions can be taken back. */
export function nameServiceContract(name: string, open: (graceMs: number) => Promise<OpenedNameService>): void {
  describe(`name service contract: ${name}`, () => {
    let opened: OpenedNameService;
    let service: NameService;
    const begin = async (graceMs: number): Promise<void> => {
      opened = await open(graceMs);
      service = opened.nameService;
    };
    beforeEach(() => begin(0));
    afterEach(() => opened.close());

    /** Watches; resolves with the first that is told. */
    const watch = async (): Promise<{ readonly told: DirectoryUpdate[]; stop(): void }> => {
      const told: DirectoryUpdate[] = [];
      let stop = (): void => undefined;
      await new Promise<void>((resolve) => {
        stop = service.watch((update) => {
          told.push(update);
          resolve();
        });
        expect(told).toEqual([]); // Never from inside `watch`.
      });
      return { told, stop };
    };
    const kinds = (told: readonly DirectoryUpdate[]): string => told.map(({ kind }) => kind).join(' ');

    it('gives the whole first, then every change in order, each before its answer, to all who watch', async () => {
      await service.createTopic({ name: 'before' });
      const [one, other] = [await watch(), await watch()];
      expect(one.told).toMatchObject([{ kind: 'snapshot', topics: [{ name: 'before' }], groups: [], brokers: [] }]);
      const topic = await service.createTopic({ name: 'orders' });
      expect(one.told.at(-1)).toMatchObject({ kind: 'topic', topic });
      const group = await service.createGroup({ name: 'billing' });
      expect(one.told.at(-1)).toMatchObject({ kind: 'group', group });
      await service.updateTopic('orders', { writeQueues: 9 });
      await service.deleteTopic('orders');
      await service.deleteGroup('billing');
      expect(kinds(one.told)).toBe('snapshot topic group topic topicDeleted groupDeleted');
      expect(other.told).toEqual(one.told);
      const revisions = one.told.map(({ revision }) => revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
      one.stop();
      await service.createTopic({ name: 'after' });
      expect([one.told.length, other.told.length]).toEqual([6, 7]);
    });

    it('keeps what of a topic’s bodies is hidden, until that is taken back', async () => {
      const made = await service.createTopic({ name: 'cards', bodyMask: 'card.number' });
      expect(made.bodyMask).toBe('card.number');
      expect((await service.updateTopic('cards', { writeQueues: 9 })).bodyMask).toBe('card.number');
      await expect(service.updateTopic('cards', { bodyMask: 'card.' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
      await expect(service.createTopic({ name: 'x', bodyMask: ',' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
      expect((await service.updateTopic('cards', { bodyMask: '*' })).bodyMask).toBe('*');
      expect((await service.updateTopic('cards', { bodyMask: '' })).bodyMask).toBeUndefined();
    });

    it('makes a topic with the defaults, or with what is given', async () => {
      const plain = await service.createTopic({ name: 'orders' });
      const defaults = { type: MessageType.normal, writeQueues: 8, readQueues: 8, permission: 'readWrite', layout: 1 };
      expect(plain).toMatchObject({ name: 'orders', ...defaults, typeFixed: true });
      expect([plain.retentionMs, plain.retentionBytes, plain.liteExpirationMs]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      const draft = {
        name: 'steps',
        type: MessageType.fifo,
        writeQueues: 3,
        readQueues: 4,
        permission: 'read',
      } as const;
      const given = await service.createTopic({ ...draft, retentionMs: 60_000, retentionBytes: 0 });
      expect(given).toMatchObject({ ...draft, retentionMs: 60_000 });
      expect(given.retentionBytes).toBeUndefined();
      expect(given.id).not.toBe(plain.id);
      expect(await service.createTopic({ name: 'wide', writeQueues: 12 })).toMatchObject({ readQueues: 12 });
      expect(await service.createTopic({ name: 'slim', readQueues: 2 })).toMatchObject({
        writeQueues: 2,
        readQueues: 2,
      });
    });

    it('refuses names that are taken, wrong, or the system\u2019s own', async () => {
      await service.createTopic({ name: 'orders' });
      await service.createGroup({ name: 'billing' });
      expect(await code(service.createTopic({ name: 'orders' }))).toBe('ALREADY_EXISTS');
      expect(await code(service.createGroup({ name: 'billing' }))).toBe('ALREADY_EXISTS');
      expect(await code(service.createTopic({ name: 'a b' }))).toBe('ILLEGAL_TOPIC');
      expect(await code(service.createTopic({ name: '%DLQ%billing' }))).toBe('ILLEGAL_TOPIC');
      expect(await code(service.ensureTopic('%DLQ%billing'))).toBe('TOPIC_NOT_FOUND');
      expect(await code(service.ensureInnerTopic('orders'))).toBe('ILLEGAL_TOPIC');
    });

    it('makes a topic on first use, once, and its first message fixes its type', async () => {
      const made = await Promise.all([service.ensureTopic('fresh'), service.ensureTopic('fresh')]);
      expect(made[0]).toMatchObject({ typeFixed: false, writeQueues: 8 });
      expect(made[1]).toEqual(made[0]);
      const fixed = await service.fixTopicType('fresh', MessageType.delay);
      expect(fixed).toMatchObject({ id: made[0].id, type: MessageType.delay, typeFixed: true });
      expect(await service.fixTopicType('fresh', MessageType.fifo)).toEqual(fixed);
      expect(await code(service.fixTopicType('nowhere', MessageType.fifo))).toBe('TOPIC_NOT_FOUND');
    });

    it('makes an inner topic of one queue where it is needed', async () => {
      const inner = await service.ensureInnerTopic('%DLQ%billing');
      expect(inner).toMatchObject({ writeQueues: 1, readQueues: 1, typeFixed: true });
      expect(await service.ensureInnerTopic('%DLQ%billing')).toEqual(inner);
      expect(await service.ensureTopic('%DLQ%billing')).toEqual(inner);
    });

    it('changes of a topic what it is told to; its layout rises with its queues and its permission alone', async () => {
      const topic = await service.createTopic({ name: 'orders', retentionMs: 60_000 });
      const more = await service.updateTopic('orders', { writeQueues: 9, retentionBytes: 1 << 30 });
      expect(more).toEqual({ ...topic, writeQueues: 9, readQueues: 9, retentionBytes: 1 << 30, layout: 2 });
      expect(await service.updateTopic('orders', { permission: 'read' })).toMatchObject({
        layout: 3,
        retentionMs: 60_000,
      });
      const back = await service.updateTopic('orders', { retentionMs: 0, permission: undefined });
      expect(back).toMatchObject({ layout: 3, permission: 'read', retentionBytes: 1 << 30 });
      expect(back.retentionMs).toBeUndefined();
      expect(await code(service.updateTopic('nowhere', { permission: 'read' }))).toBe('TOPIC_NOT_FOUND');
    });

    it('makes a group with the defaults, or with what is given, or on first use', async () => {
      const defaults = { fifo: false, attemptsMax: defaultAttemptsMax, retryPolicy: defaultRetryPolicy };
      const plain = await service.createGroup({ name: 'billing' });
      expect(plain).toMatchObject({ name: 'billing', ...defaults, start: { at: 'auto' } });
      expect([plain.pausedUntilMs, plain.priorityFactor, plain.lite]).toEqual([undefined, undefined, undefined]);
      const draft = { name: 'steps', fifo: true, attemptsMax: 3, start: { at: 'first' }, priorityFactor: 0 } as const;
      expect(await service.createGroup({ ...draft, lite: { topic: 'chats', exclusive: true } })).toMatchObject({
        ...draft,
        lite: { ...liteGroupDefaults, topic: 'chats', exclusive: true },
      });
      const [one, other] = await Promise.all([service.ensureGroup('fresh'), service.ensureGroup('fresh')]);
      expect(one).toMatchObject(defaults);
      expect(other).toEqual(one);
    });

    it('changes of a group what it is told to', async () => {
      await service.createGroup({ name: 'agents', attemptsMax: 3, lite: { topic: 'chats', exclusive: true } });
      const changed = await service.updateGroup('agents', {
        pausedUntilMs: 5,
        lite: { topic: 'chats', clientQuota: 7 },
      });
      const lite = { topic: 'chats', exclusive: true, clientQuota: 7 };
      expect(changed).toMatchObject({ attemptsMax: 3, pausedUntilMs: 5, lite });
      const resumed = await service.updateGroup('agents', { pausedUntilMs: 0, attemptsMax: undefined });
      expect(resumed).toMatchObject({ attemptsMax: 3, lite });
      expect(resumed.pausedUntilMs).toBeUndefined();
      expect(await code(service.updateGroup('agents', { lite: { topic: 'others' } }))).toBe('BAD_REQUEST');
      expect(await code(service.updateGroup('nobody', { attemptsMax: 3 }))).toBe('CONSUMER_GROUP_NOT_FOUND');
    });

    it('deletes for good, says that it was recorded, and gives no id twice', async () => {
      const topic = await service.createTopic({ name: 'orders' });
      const group = await service.createGroup({ name: 'billing' });
      const { told } = await watch();
      await service.deleteTopic('orders');
      await service.deleteGroup('billing');
      expect(told.slice(1)).toMatchObject([
        { kind: 'topicDeleted', topic, recorded: true },
        { kind: 'groupDeleted', group, recorded: true },
      ]);
      const deletedTopics = [{ id: topic.id, createdMs: topic.createdMs }];
      const deletedGroups = [{ id: group.id, createdMs: group.createdMs }];
      expect((await watch()).told).toMatchObject([
        { kind: 'snapshot', topics: [], groups: [], deletedTopics, deletedGroups },
      ]);
      expect((await service.createTopic({ name: 'orders' })).id).toBeGreaterThan(topic.id);
      expect((await service.createGroup({ name: 'billing' })).id).toBeGreaterThan(group.id);
      expect(await service.retired()).toEqual({ retired: [], graceMs: 0 });
      expect(await code(service.restore('topic', topic.id))).toBe('NOT_FOUND');
      expect(await code(service.deleteTopic('nowhere'))).toBe('TOPIC_NOT_FOUND');
      expect(await code(service.deleteGroup('nobody'))).toBe('CONSUMER_GROUP_NOT_FOUND');
    });

    it('takes a deletion back while its grace lasts', async () => {
      await opened.close();
      await begin(3_600_000);
      const topic = await service.createTopic({ name: 'orders' });
      const group = await service.createGroup({ name: 'billing' });
      const { told } = await watch();
      await service.deleteTopic('orders', { who: 'ada' });
      await service.deleteGroup('billing', { now: true });
      expect(told.slice(1)).toMatchObject([{ recorded: false }, { recorded: true }]);
      const { retired, graceMs } = await service.retired();
      expect(graceMs).toBe(3_600_000);
      expect(retired).toMatchObject([{ kind: 'topic', name: 'orders', id: topic.id, who: 'ada' }]);
      expect(retired.map(({ deletedMs, goneMs }) => goneMs - deletedMs)).toEqual([3_600_000]);
      expect(await code(service.restore('group', group.id))).toBe('NOT_FOUND');
      await service.createTopic({ name: 'orders' });
      expect(await code(service.restore('topic', topic.id))).toBe('ALREADY_EXISTS');
      await service.deleteTopic('orders', { now: true });
      await service.restore('topic', topic.id);
      expect(told.at(-1)).toMatchObject({ kind: 'topic', topic: { ...topic, layout: topic.layout + 1 } });
      expect((await service.retired()).retired).toEqual([]);
      expect(await code(service.restore('topic', topic.id))).toBe('NOT_FOUND');
    });

    it('makes nothing that was deleted again by its use, while the deletion can be taken back', async () => {
      await opened.close();
      await begin(3_600_000);
      const topic = await service.ensureTopic('orders');
      const group = await service.ensureGroup('billing');
      await service.deleteTopic('orders');
      await service.deleteGroup('billing');
      expect(await code(service.ensureTopic('orders'))).toBe('TOPIC_NOT_FOUND');
      expect(await code(service.ensureGroup('billing'))).toBe('CONSUMER_GROUP_NOT_FOUND');
      expect((await service.ensureGroup('orders')).id).not.toBe(group.id); // A group of a topic's name.
      await service.restore('topic', topic.id);
      await service.restore('group', group.id);
      expect((await service.ensureTopic('orders')).id).toBe(topic.id);
      expect((await service.ensureGroup('billing')).id).toBe(group.id);
    });

    it('brings back in the place of a newer one, which can be brought back in its turn', async () => {
      await opened.close();
      await begin(3_600_000);
      for (const kind of ['topic', 'group'] as const) {
        const make = async () =>
          kind === 'topic' ? service.createTopic({ name: 'orders' }) : service.createGroup({ name: 'orders' });
        const drop = async () => (kind === 'topic' ? service.deleteTopic('orders') : service.deleteGroup('orders'));
        const older = await make();
        await drop();
        const newer = await make();
        await service.restore(kind, older.id, { replace: true, who: 'ada' });
        const { retired } = await service.retired();
        expect(retired.filter((one) => one.kind === kind)).toMatchObject([
          { name: 'orders', id: newer.id, who: 'ada' },
        ]);
        const known = kind === 'topic' ? service.ensureTopic('orders') : service.ensureGroup('orders');
        expect((await known).id).toBe(older.id);
        await service.restore(kind, newer.id, { replace: true });
        const { retired: now } = await service.retired();
        expect(now.filter((one) => one.kind === kind).map((one) => one.id)).toEqual([older.id]);
      }
    });

    it('forgets no members of a set that there is not, and adopts nothing before it is allowed', async () => {
      expect(await code(service.forgetMembers('broker-0'))).toBe('NOT_FOUND');
      const claim = { brokerSet: 'broker-0', member: 'a/1' as never, address: 'a:1', bootId: 'boot-1', leaseMs: 2_000 };
      const none = { topics: [], groups: [], deletedTopics: [], deletedGroups: [] };
      const part = { claim, ...none, topicIdMax: 0, groupIdMax: 0, insist: false, last: false };
      expect(await code(service.adoptMetadata(part))).toBe('METADATA_MISMATCH');
      expect(await service.allowAdoption()).toBeGreaterThan(0);
      await service.adoptMetadata(part);
    });
  });
}
