import { Code, MessageType } from '@cometmq/proto';
import { getEventListeners, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startAdminFixture, type AdminFixture } from '@cometmq/admin/testing';
import { FakeProxy, someTraits } from '@cometmq/client/testing';
import {
  epoch,
  memberId,
  MessageType as TopicType,
  queueId,
  queueOffset,
  type LogPosition,
  type TopicId,
} from '@cometmq/model';
import { sleep, systemClock } from '@cometmq/shared';

import { FakeTerminal, type Ran } from './testing.js';

// Goal: what a person and a script see. Method: the real REST API and real gRPC over fakes; output and exit code captured.
/** For what comes in a moment, on a machine that is busy too. */
const waitMsMax = 60_000;

let fixture: AdminFixture;
let door: FakeProxy;
let me: FakeTerminal;

const brokerSet = {
  ...{
    name: 'broker-0',
    epoch: 1,
    leader: 'broker-0:10911',
    leaderMember: 'broker-0/v1',
    members: [{ member: 'broker-0/v1', address: '' }],
    quorum: 1,
    stage: 'serving' as const,
    inSync: ['broker-0/v1'],
  },
  ...{ writable: true, registeredMs: 1 },
};

beforeAll(async () => {
  fixture = await startAdminFixture();
  door = new FakeProxy();
  await door.start();
});
afterAll(async () => {
  await fixture.stop();
  await door.stop();
});
beforeEach(() => {
  fixture.brokers.reset();
  fixture.brokers.states.set('broker-0', {});
  fixture.nameService.reset([brokerSet]);
  fixture.members.reset();
  me = new FakeTerminal();
  // No test is about how busy this machine is.
  me.env = { HOME: '/home/me', COMET_API: fixture.url, COMET_ENDPOINT: door.address, COMET_TIMEOUT: '60s' };
});

const comet = (...argv: string[]): Promise<Ran> => me.run(...argv);
const busy = (): Response => new Response(JSON.stringify({ code: 'UNAVAILABLE', detail: 'not now' }), { status: 503 });
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(systemClock, 5);
}

describe('lists of what several broker sets have', () => {
  beforeEach(async () => {
    await fixture.nameService.createTopic({ name: 'orders' });
    await fixture.nameService.createGroup({ name: 'billing' });
    await fixture.nameService.ensureInnerTopic('%DLQ%billing');
    fixture.nameService.putSet({ ...brokerSet, name: 'broker-1' });
    await fixture.directory.until(() => fixture.directory.brokerSet('broker-1'), waitMsMax, 'the broker set');
  });

  it.each([
    'dlq ls',
    'dlq ls billing',
    'msg find orders --key k',
    'delayed ls',
    'transaction ls',
    'transaction audits',
    'client ls',
    'group moves billing',
    'group lag billing --history',
  ])('say who did not answer: %s', async (command) => {
    const { code, err } = await comet(...command.split(' '));
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(/^broker-1 did not answer, so what it has is left out: .+\n$/),
    ]);
  });

  it.each(['dlq export billing', 'msg life some-id', 'msg why some-id --group billing'])(
    'are not taken for whole where that would be wrong: %s',
    async (command) => {
      const { code, err } = await comet(...command.split(' '));
      expect([code, err]).toEqual([5, expect.stringContaining('broker-1')]);
    },
  );

  it('are shown however long they are', async () => {
    let page = 0;
    me.fetch = async () => {
      page += 1;
      const items = Array.from({ length: 1_000 }, (_, i) => ({ id: `${page}-${i}`, dueMs: 8.7e15, storedMs: 1 }));
      return Response.json({ items, total: 1, missing: [], ...(page < 200 && { next: String(page) }) });
    };
    const { code, out, err } = await comet('delayed', 'ls', '--max', '1000000');
    expect([code, err]).toEqual([0, '']);
    expect(lines(out).length).toBe(200_001);
  });

  it('show nothing of a server that could move the cursor', async () => {
    const missing = [{ brokerSet: 'broker-\u001b[2J', detail: 'away\u0007' }];
    me.fetch = async () => Response.json({ items: [], total: 0, missing });
    const { err } = await comet('delayed', 'ls');
    expect(err).toBe('broker-\\u001b[2J did not answer, so what it has is left out: away\\u0007\n');
  });

  it('of positions a group was moved to are a failure where a broker set did not answer', async () => {
    const argv = ['group', 'reset', 'billing', '--topic', 'orders', '--to', 'end', '--yes'];
    expect(await comet(...argv)).toMatchObject({ code: 1, err: expect.stringContaining('broker-1 did not answer') });
  });

  it('end where a server gives the same page for ever', async () => {
    me.fetch = async () => Response.json({ items: [{ name: 't' }], next: 'again' });
    const { code, err } = await comet('topic', 'ls');
    expect([code, err]).toEqual([1, expect.stringContaining('again and again')]);
  });
});

describe('topics', () => {
  it('are made, listed, described, altered and deleted', async () => {
    const made = await comet('topic', 'create', 'orders', '--queues', '4', '--retention', '3d');
    expect(made.code).toBe(0);
    expect(lines(made.out)).toEqual([
      'NAME    TYPE    WRITE QUEUES  READ QUEUES  PERMISSION',
      'orders  normal  4             4            readWrite',
    ]);
    const listed = await comet('topic', 'ls', '-o', 'json');
    expect(JSON.parse(listed.out)).toMatchObject([{ name: 'orders', retentionMs: 3 * 86_400_000 }]);
    expect((await comet('topic', 'ls', '-o', 'wide')).out).toMatch(/RETENTION.*\n.* 3d /);
    const described = await comet('-o', 'json', 'topic', 'describe', 'orders');
    expect(JSON.parse(described.out)).toMatchObject({ name: 'orders', queues: [], messages: 0 });
    const unset = await comet('topic', 'alter', 'orders', '--retention', 'default', '-o', 'jsonl');
    expect(JSON.parse(unset.out)).not.toHaveProperty('retentionMs');
    const altered = await comet('topic', 'alter', 'orders', '--permission', 'read', '-o', 'jsonl');
    expect(JSON.parse(altered.out)).toMatchObject({ permission: 'read', writeQueues: 4 });
    expect(await comet('topic', 'delete', 'orders', '--yes')).toEqual({
      ...{ code: 0, out: '', err: 'topic "orders" was deleted\n' },
    });
    expect(await comet('topic', 'ls', '-o', 'name')).toEqual({ code: 0, out: '', err: '' });
  });

  it('are listed over many pages, without the dead letters unless asked for', async () => {
    for (let i = 0; i < 1003; i += 1) await fixture.nameService.createTopic({ name: `t${i}` });
    await fixture.nameService.ensureInnerTopic('%DLQ%g');
    await fixture.directory.until(() => fixture.directory.topic('%DLQ%g'), waitMsMax, 'the topics');
    expect(lines((await comet('topic', 'ls', '-o', 'name')).out)).toHaveLength(1003);
    expect(lines((await comet('topic', 'ls', '-o', 'name', '--all', '--contains', 'G')).out)).toEqual(['%DLQ%g']);
    expect((await comet('topic', 'describe', '%DLQ%g', '-o', 'name')).out).toBe('%DLQ%g\n');
  });

  it('are described for people with their queues, and with who did not answer', async () => {
    const { id } = await fixture.nameService.createTopic({ name: 'orders' });
    fixture.brokers.topics.set(id, {
      bytes: 2048,
      queues: [{ queueId: queueId(0), first: queueOffset(2), next: queueOffset(12), unread: 0 }],
    });
    fixture.nameService.putSet({ ...brokerSet, name: 'broker-1' });
    await fixture.directory.until(() => fixture.directory.brokerSet('broker-1'), waitMsMax, 'the broker set');
    const { out } = await comet('topic', 'describe', 'orders');
    expect(out).toMatch(/^NAME +orders\n/);
    expect(out).toMatch(/\nBYTES +2\.0 KiB\n/);
    expect(out).toMatch(/\nQUEUES\nBROKER SET +QUEUE +MIN +MAX +MESSAGES\nbroker-0 {4}0 {6}2 {4}12 {3}10\n/);
    expect(out).toContain("DID NOT ANSWER\nBROKER SET  WHY\nbroker-1    the leader of broker-1 can't be reached");
  });

  it('are left as they are where only a missing one is to be made, and so are groups', async () => {
    const name = ['--if-missing', '-o', 'name'];
    for (let i = 0; i < 2; i += 1) {
      const made = await comet('topic', 'create', 'orders', '--queues', String(4 + i), ...name);
      expect(made).toEqual({ code: 0, out: 'orders\n', err: '' });
      const group = await comet('group', 'create', 'billing', '--attempts', String(4 + i), ...name);
      expect(group).toEqual({ code: 0, out: 'billing\n', err: '' });
    }
    expect(fixture.nameService.topics.get('orders')?.writeQueues).toBe(4);
    expect(fixture.nameService.groups.get('billing')?.attemptsMax).toBe(4);
    expect((await comet('topic', 'create', 'orders')).code).toBe(4);
  });

  it('are deleted only by one who says yes', async () => {
    await fixture.nameService.createTopic({ name: 'orders' });
    expect(await comet('topic', 'delete', 'orders')).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    me.isTerminal = true;
    me.answers = ['n', 'y'];
    expect(await comet('topic', 'delete', 'orders')).toMatchObject({ code: 1, err: 'comet: nothing was changed\n' });
    expect(fixture.nameService.topics.has('orders')).toBe(true);
    expect((await comet('topic', 'delete', 'orders')).code).toBe(0);
    expect(me.asked).toHaveLength(2);
    expect(fixture.nameService.topics.has('orders')).toBe(false);
  });
});

describe('consumer groups', () => {
  it('are paused, resumed and set elsewhere', async () => {
    await comet('topic', 'create', 'orders');
    await comet('group', 'create', 'billing', '--retry', 'exp:1s,1h,3');
    const billing = () => fixture.nameService.groups.get('billing');
    expect(billing()?.retryPolicy).toEqual({
      kind: 'exponential',
      initialMs: 1_000,
      maxMs: 3_600_000,
      multiplier: 3,
    });
    const before = systemClock.wallMs();
    expect((await comet('group', 'pause', 'billing', '--for', '10m')).code).toBe(0);
    expect(billing()?.pausedUntilMs).toBeGreaterThanOrEqual(before + 600_000);
    expect((await comet('group', 'resume', 'billing')).code).toBe(0);
    expect(billing()?.pausedUntilMs ?? 0).toBe(0);
    const reset = await comet('group', 'reset', 'billing', '--topic', 'orders', '--to', 'end', '--yes');
    expect(lines(reset.out)[1]).toMatch(/^orders +broker-0 +0 +3 +7$/);
    await comet('group', 'reset', 'billing', '--topic', 'orders', '--to', '@2026-11-22T10:00Z', '--yes');
    expect(fixture.brokers.resets.map(({ to }) => to)).toEqual([
      { at: 'end' },
      { at: 'time', timeMs: Date.UTC(2026, 10, 22, 10) },
    ]);
    const wrong = await comet('group', 'reset', 'billing', '--topic', 'orders', '--to', 'there', '--yes');
    expect(wrong.code).not.toBe(0);
    expect(wrong.err).toMatch(/must be first, end, an offset/);
  });

  it('have members that are listed, with what they did and were refused of late', async () => {
    const topic = await fixture.nameService.createTopic({ name: 'orders' });
    const group = await fixture.nameService.createGroup({ name: 'billing' });
    await fixture.directory.until(() => fixture.directory.group('billing'), waitMsMax, 'the group');
    const refusals = [{ method: 'AckMessage', code: 'INVALID_RECEIPT_HANDLE', count: 7, agoMs: 5_000 }];
    const subscriptions = [{ topicId: topic.id, filter: { type: 'tag' as const, expression: 'paid' } }];
    const member = { ...someTraits, clientId: 'c1', groupId: group.id, subscriptions };
    fixture.brokers.inspect.connected.set('broker-0', {
      members: [{ ...member, activity: { idleMs: 61_000, refusals } }],
      producers: [{ ...someTraits, clientId: 'p1', topicIds: [topic.id] }],
    });
    const { out } = await comet('client', 'ls', '-o', 'wide');
    expect(lines(out)).toEqual([
      expect.stringMatching(/^CLIENT +LANGUAGE +VERSION +IDLE +MARKS +REFUSED +CONSUMES +SENDS TO$/),
      expect.stringMatching(
        /^c1 +JAVA +5\.0\.8 +1m 1s +refused +7 × AckMessage: INVALID_RECEIPT_HANDLE +billing: orders \(paid\) +-$/,
      ),
      expect.stringMatching(/^p1 +JAVA +5\.0\.8 +- +- +- +- +orders$/),
    ]);
    expect(lines((await comet('client', 'ls', '--mark', 'refused', '-o', 'name')).out)).toEqual(['c1']);
    expect(lines((await comet('client', 'ls', '--contains', 'P', '-o', 'name')).out)).toEqual(['p1']);
    expect((await comet('client', 'ls', '--mark', 'odd')).code).toBe(2);
  });

  it('have members that can be asked', async () => {
    fixture.brokers.clients.set('c1', { nonce: '', code: 20_000, message: 'OK', text: 'main: at x' });
    expect((await comet('client', 'stack', 'c1')).out).toMatch(/20000 +main: at x/);
    expect((await comet('client', 'reconnect', 'c1')).code).toBe(0);
    expect((await comet('client', 'stack', 'nobody')).code).not.toBe(0);
  });

  it('are made, listed, described, altered and deleted', async () => {
    const made = await comet('group', 'create', 'billing', '--attempts', '3', '--retry', '1s,1m', '--start', 'end');
    expect(made.code).toBe(0);
    expect(fixture.nameService.groups.get('billing')).toMatchObject({
      ...{ attemptsMax: 3, retryPolicy: { kind: 'customized', nextMs: [1000, 60_000] }, start: { at: 'end' } },
    });
    const altered = await comet('group', 'alter', 'billing', '--start', '@2026-11-22T10:00Z', '-o', 'json');
    expect(JSON.parse(altered.out)).toMatchObject([{ start: { at: 'time', timeMs: Date.UTC(2026, 10, 22, 10) } }]);
    expect(lines((await comet('group', 'ls', '-o', 'name')).out)).toEqual(['billing']);
    const topic = await fixture.nameService.createTopic({ name: 'orders' });
    const group = fixture.nameService.groups.get('billing');
    const offsets = { committed: queueOffset(3), frontier: queueOffset(5), queueFirst: queueOffset(0) };
    const queue = {
      topicId: topic.id,
      queueId: queueId(0),
      ...offsets,
      queueNext: queueOffset(9),
      inFlight: 2,
      ready: 0,
      blocked: 0,
      lanes: 0,
    };
    const member = { ...someTraits, clientId: 'c1', groupId: group!.id, subscriptions: [] };
    fixture.brokers.groups.set(group!.id, { queues: [queue], sums: [], members: [member] });
    await fixture.directory.until(() => fixture.directory.topic('orders'), waitMsMax, 'the topic');
    const listed = await comet('group', 'ls');
    expect(listed.out).toMatch(/^NAME +LAG +IN FLIGHT +READY +MEMBERS +FIFO.*\nbilling +2 +2 +0 +1 +false /);
    const { out } = await comet('group', 'describe', 'billing');
    expect(out).toMatch(/\nLAG +2\nIN FLIGHT +2\n/);
    expect(out).toMatch(/\norders +broker-0 +0 +3 +9 +2 +2 +0\n/);
    expect(out).toContain('MEMBERS\nCLIENT  SDK         SUBSCRIPTIONS\nc1      JAVA 5.0.8  -\n');
    expect((await comet('group', 'rm', 'billing', '-y')).code).toBe(0);
    expect(fixture.nameService.groups.size).toBe(0);
  });
});

describe('messages', () => {
  it('are sent from an argument, standard input, lines and a file, with all that belongs to them', async () => {
    const properties = ['-p', 'source=shop', '-p', 'a=b=c'];
    const sent = await comet(
      'send',
      'sent',
      'one',
      '--tag',
      'red',
      '-k',
      'k1',
      '-k',
      'k2',
      ...properties,
      '-o',
      'jsonl',
    );
    expect(sent.code).toBe(0);
    expect(JSON.parse(sent.out)).toEqual({ messageId: expect.stringMatching(/^01[0-9A-F]{32}$/), offset: 0 });
    me.input = 'two\nlines\n';
    expect((await comet('msg', 'send', 'sent')).code).toBe(0);
    expect((await comet('msg', 'send', 'sent', '--lines')).err).toBe('2 of 2 messages were sent\n');
    me.files.set('/tmp/body', 'from a file');
    expect((await comet('send', 'sent', '--file', '/tmp/body')).code).toBe(0);
    const stored = door.messages.get('sent') ?? [];
    expect(stored.map(({ body }) => Buffer.from(body).toString())).toEqual([
      'one',
      'two\nlines\n',
      'two',
      'lines',
      'from a file',
    ]);
    expect(stored[0]?.systemProperties).toMatchObject({ tag: 'red', keys: ['k1', 'k2'] });
    expect([...(stored[0]?.userProperties ?? [])]).toEqual([
      ['source', 'shop'],
      ['a', 'b=c'],
    ]);
  });

  it.each([
    [['--message-group', 'g1'], { messageType: MessageType.FIFO, messageGroup: 'g1' }],
    [['--at', '2027-01-31T08:00:00Z'], { messageType: MessageType.DELAY, deliveryTimestamp: { seconds: 1801382400 } }],
    [['--priority', '0'], { messageType: MessageType.PRIORITY, priority: 0 }],
    [['--lite-topic', 'one'], { messageType: MessageType.LITE, liteTopic: 'one' }],
  ])('are sent as another kind with %j', async (options, system) => {
    const topic = `kind-${options[0]?.slice(2)}`;
    expect((await comet('send', topic, 'x', ...options)).code).toBe(0);
    expect(door.messages.get(topic)?.[0]?.systemProperties).toMatchObject(system);
  });

  it('may be delayed from now on', async () => {
    const beforeMs = Date.now();
    await comet('send', 'later', 'x', '--delay', '2h');
    const { seconds = 0 } = door.messages.get('later')?.[0]?.systemProperties?.deliveryTimestamp ?? {};
    expect(seconds).toBeGreaterThanOrEqual(Math.floor(beforeMs / 1000) + 7_200);
    expect((await comet('send', 'later', 'x', '--delay', '2h', '--at', '2027-01-31T08:00:00Z')).code).toBe(2);
    expect((await comet('send', 'later', 'x', '--at', 'tomorrow')).code).toBe(2);
  });

  it('keep every byte of a line, and say where an option can not be meant', async () => {
    const bytes = Buffer.from(
      '61ff00\r\n\nc328\n62'.replace(/[0-9a-f]{2}/g, (hex) => String.fromCharCode(parseInt(hex, 16))),
      'latin1',
    );
    me.input = bytes;
    expect((await comet('send', 'raw', '--lines')).err).toBe('3 of 3 messages were sent\n');
    const stored = (door.messages.get('raw') ?? []).map(({ body }) => Buffer.from(body).toString('hex'));
    expect(stored).toEqual(['61ff00', 'c328', '62']);
    const twice = await comet('send', 'raw', 'x', '-p', 'a=1', '-p', 'a=2');
    expect(twice).toMatchObject({ code: 2, err: expect.stringContaining('--property a: given twice') });
    expect(door.messages.get('raw')).toHaveLength(3);
  });

  it('are not acknowledged when nobody reads what was printed', async () => {
    await comet('send', 'unread', 'x', '--count', '40');
    me.readerIsGone = true;
    await comet('receive', 'unread', '-g', 'heads', '--max', '40', '-o', 'name');
    expect(door.acked.filter((ack) => ack.startsWith('heads '))).toEqual([]);
    await fixture.nameService.createTopic({ name: 'unread' });
    await fixture.directory.until(() => fixture.directory.topic('unread'), waitMsMax, 'the topic');
    expect((await comet('tail', 'unread', '--from-start')).code).toBe(0);
    expect(fixture.nameService.groups.size).toBe(0); // As in `comet tail unread | head -1`.
  });

  it('are counted for a person while they are sent, on standard error, and the line is wiped', async () => {
    me.isTerminal = true;
    me.clockStepMs = 60; // Each look at the clock.
    const { out, err } = await comet('send', 'counted', 'again', '--count', '320', '-o', 'name');
    expect(lines(out)).toHaveLength(320);
    const plain = err.replaceAll('\u001b', '');
    expect(plain).toMatch(/\r\[K\d+ of 320 messages sent, [\d,]+\/s/);
    expect(plain).toMatch(/\r\[K320 of 320 messages were sent\n$/);
  });

  it('are sent many times over, in batches', async () => {
    const { out, err } = await comet('send', 'many', 'again', '--count', '100', '-o', 'name');
    expect(new Set(lines(out)).size).toBe(100);
    expect(err).toBe('100 of 100 messages were sent\n');
    expect(door.messages.get('many')).toHaveLength(100);
  });

  it('are received and acknowledged, or left', async () => {
    await comet('send', 'received', 'one', '--tag', 'red');
    await comet('send', 'received', '\u001b[2Jtwo\u0007');
    const first = await comet('receive', 'received', '-g', 'g1', '--max', '2', '--wait', '5s', '-o', 'jsonl');
    expect(first.code).toBe(0);
    expect(lines(first.out).map((line) => JSON.parse(line) as object)).toMatchObject([
      { topic: 'received', body: 'one', tag: 'red', offset: 0, attempt: 1 },
      { body: '\u001b[2Jtwo\u0007', offset: 1 },
    ]);
    expect(door.acked.filter((ack) => ack.startsWith('g1 '))).toHaveLength(2);
    const left = door.gone.length;
    expect(left).toBeGreaterThan(0);

    const table = await comet('receive', 'received', '-g', 'g2', '-m', '2', '--no-ack');
    expect(table.out).not.toContain('\u001b');
    expect(table.out).not.toContain('\u0007');
    expect(table.out).toContain('\\u001b[2Jtwo\\u0007');
    expect(door.acked.filter((ack) => ack.startsWith('g2 '))).toEqual([]);
    expect(door.gone).toHaveLength(left); // What it holds stays its own.
  });

  it('may be waited for, and not come', async () => {
    const waiting = comet('receive', 'late', '-g', 'g', '--wait', '10s', '-o', 'json');
    await until(() => door.polls === 1);
    await new FakeSender().send('late', 'here');
    expect(JSON.parse((await waiting).out)).toMatchObject([{ body: 'here' }]);
    const nothing = await comet('receive', 'late', '-g', 'g', '--wait', '50ms', '-o', 'json');
    expect(nothing).toMatchObject({ code: 6, out: '[]\n', err: 'no message came within 50ms\n' });
  });

  it('that are no text are shown as what they are', async () => {
    me.input = new Uint8Array([255, 0]);
    expect((await comet('send', 'binary', '-')).code).toBe(0);
    const { out } = await comet('receive', 'binary', '-g', 'j', '-o', 'jsonl');
    expect(JSON.parse(out)).toMatchObject({ bodyBase64: '/wA=' });
    expect((await comet('receive', 'binary', '-g', 't')).out).toContain('(2 bytes)');
  });

  it('of which one is refused are counted as what they are, each', async () => {
    door.refusedBodies.set('two', { code: Code.MESSAGE_BODY_TOO_LARGE, message: 'too large' });
    me.input = 'one\ntwo\nthree\n';
    const { code, out, err } = await comet('send', 'halves', '--lines', '-o', 'name');
    door.refusedBodies.clear();
    expect([code, lines(out).length, err]).toEqual([4, 2, '2 of 3 messages were sent\ncomet: too large\n']);
    expect(door.messages.get('halves')?.map(({ body }) => body.toString())).toEqual(['one', 'three']);
  });

  it('that are not all sent, as somebody has seen enough, are no success', async () => {
    await fixture.nameService.createTopic({ name: 'orders' });
    const sending = comet('send', 'orders', 'hello', '--count', '100000');
    me.interrupt.abort();
    const { code, err } = await sending;
    expect([code, err]).toEqual([1, expect.stringMatching(/^\d+ of 100000 messages were sent\n$/)]);
  });

  it('are watched as they come by a group that is gone afterwards', async () => {
    await fixture.nameService.createTopic({ name: 'watched' });
    await fixture.directory.until(() => fixture.directory.topic('watched'), waitMsMax, 'the topic');
    const left = door.gone.length;
    const watching = comet('tail', 'watched', '-o', 'jsonl');
    await until(() => door.polls === 1);
    const [group] = [...fixture.nameService.groups.values()];
    expect(group).toMatchObject({ name: expect.stringMatching(/^comet-tail-\w+$/), start: { at: 'end' } });
    await new FakeSender().send('watched', 'one');
    await until(() => me.out.includes('one'));
    expect(JSON.parse(me.out)).toMatchObject({ body: 'one' });
    await until(() => door.polls === 1); // It waits for the next one.
    me.interrupt.abort();
    expect((await watching).code).toBe(0);
    expect(fixture.nameService.groups.size).toBe(0);
    expect(door.gone).toHaveLength(left + 1);
    expect(door.acked.filter((ack) => ack.startsWith(`${group?.name} `))).toHaveLength(1);
  });

  describe('are watched by a group of their own, which is not left behind', () => {
    let asked: string[];
    /** Groups are changed as `act` says; all other calls go on. */
    const onGroups = (act: (method: string, go: () => Promise<Response>) => Promise<Response>): void => {
      asked = [];
      me.fetch = (url, init) => {
        const go = (): Promise<Response> => fetch(url, init);
        const method = init?.method ?? 'GET';
        if (method === 'GET') return go();
        asked.push(method);
        return act(method, go);
      };
    };
    const lost = new TypeError('fetch failed');
    beforeEach(async () => {
      await fixture.nameService.createTopic({ name: 'own' });
      await fixture.directory.until(() => fixture.directory.topic('own'), waitMsMax, 'the topic');
    });
    const watched = async (): Promise<Ran> => {
      await comet('send', 'own', 'x');
      return comet('tail', 'own', '--from-start', '--max', '1', '-o', 'name');
    };

    it('when the servers are too busy to delete it at first', async () => {
      let left = 2;
      onGroups(async (method, go) => (method === 'DELETE' && (left -= 1) >= 0 ? busy() : go()));
      expect(await watched()).toMatchObject({ code: 0, err: expect.stringMatching(/can't be deleted yet: not now/) });
      expect(asked).toEqual(['POST', 'DELETE', 'DELETE', 'DELETE']);
      expect(fixture.nameService.groups.size).toBe(0);
    });

    it('when the answer to its making is lost', async () => {
      onGroups(async (method, go) => {
        const answer = await go();
        if (method === 'POST') throw lost;
        return answer;
      });
      expect(await watched()).toMatchObject({ code: 5, err: expect.stringContaining("can't be reached") });
      expect(asked).toEqual(['POST', 'DELETE']);
      expect(fixture.nameService.groups.size).toBe(0);
    });

    it('when it is made only after that was given up', async () => {
      let make = (): Promise<unknown> => Promise.resolve();
      onGroups(async (method, go) => {
        if (method === 'POST') {
          make = go;
          throw lost;
        }
        const answer = await go();
        if (answer.status === 404) await make();
        return answer;
      });
      expect((await watched()).code).toBe(5);
      expect(asked).toEqual(['POST', 'DELETE', 'DELETE']);
      expect(fixture.nameService.groups.size).toBe(0);
    });

    it('and where it was refused, none is deleted', async () => {
      onGroups(async () => new Response(JSON.stringify({ code: 'FORBIDDEN', detail: 'not you' }), { status: 403 }));
      expect(await watched()).toMatchObject({ code: 4, err: expect.stringContaining('not you') });
      expect(asked).toEqual(['POST']);
    });

    it('when somebody else deleted it meanwhile', async () => {
      onGroups(async (method, go) => {
        if (method === 'DELETE') await go();
        return go();
      });
      expect(await watched()).toMatchObject({ code: 0, err: expect.not.stringContaining('left behind') });
      expect(asked).toEqual(['POST', 'DELETE']);
    });
  });

  it('are watched from the start, up to a number', async () => {
    await fixture.nameService.createTopic({ name: 'from-start' });
    await fixture.directory.until(() => fixture.directory.topic('from-start'), waitMsMax, 'the topic');
    await comet('send', 'from-start', 'x', '--count', '5');
    const { code, out } = await comet('msg', 'tail', 'from-start', '--from-start', '--max', '3', '-o', 'name');
    expect(code).toBe(0);
    expect(lines(out)).toHaveLength(3);
    expect(fixture.nameService.groups.size).toBe(0);
  });
});

/** Another terminal, so that the first one's output stays its own. */
class FakeSender extends FakeTerminal {
  async send(topic: string, body: string): Promise<void> {
    this.env = me.env;
    expect((await this.run('send', topic, body)).code).toBe(0);
  }
}

describe('completion', () => {
  const completed = async (...words: string[]): Promise<string[]> =>
    lines((await comet('__complete', '--', ...words)).out);

  it('offers commands, options, choices and the names that the cluster knows', async () => {
    for (const name of ['orders', 'orders-eu', 'visits']) await fixture.nameService.createTopic({ name });
    await fixture.nameService.createGroup({ name: 'billing' });
    await fixture.directory.until(() => fixture.directory.group('billing'), waitMsMax, 'the group');
    expect(await completed('to')).toEqual(['topic']);
    expect(await completed('')).not.toContain('__complete');
    expect(await completed('topic', 'des')).toEqual(['describe']);
    expect(await completed('topic', 'describe', 'ord')).toEqual(['orders', 'orders-eu']);
    expect(await completed('receive', 'orders', '--gr')).toEqual(['--group']);
    expect(await completed('receive', 'orders', '--group', '')).toEqual(['billing']);
    expect(await completed('-o', 'json', 'group', 'rm', 'bill')).toEqual(['billing']);
    expect(await completed('topic', 'create', 'x', '--type', 'f')).toEqual(['fifo']);
    expect(await completed('completion', 'z')).toEqual(['zsh']);
    expect(await completed('broker', 'forget', '')).toEqual(['broker-0']);
    expect(await completed('send', '--file', '')).toEqual([]);
  });

  it('offers nothing, and says nothing, where no cluster answers', async () => {
    me.env['COMET_API'] = 'http://127.0.0.1:1';
    expect(await comet('__complete', '--', 'topic', 'describe', '')).toEqual({ code: 0, out: '', err: '' });
  });

  it.each(['bash', 'zsh', 'fish'])('has a script for %s that asks comet itself', async (shell) => {
    expect((await comet('completion', shell)).out).toContain('comet __complete --');
    expect((await comet('completion', 'tcsh')).code).toBe(2);
  });
});

describe('the cluster', () => {
  it('is told of, for people and for scripts', async () => {
    const { out } = await comet('cluster', 'info');
    expect(out).toMatch(/^CLUSTER +cluster-1\nHEALTHY +yes\n/);
    expect(out).toMatch(/BROKER SETS\nNAME +LEADER .*\nbroker-0 +broker-0:10911 +1 +1 +serving +true +256\.0 MiB/);
    expect(JSON.parse((await comet('cluster', 'info', '-o', 'json')).out)).toMatchObject({ healthy: true });
  });

  it('is healthy with exit code 0, and not with 1', async () => {
    expect(await comet('cluster', 'health')).toEqual({ code: 0, out: 'healthy\n', err: '' });
    fixture.brokers.states.clear();
    const sick = await comet('cluster', 'health');
    expect(sick).toMatchObject({ code: 1, out: "not healthy: broker-0: the leader of broker-0 can't be reached\n" });
    expect(JSON.parse((await comet('cluster', 'health', '-o', 'json')).out)).toMatchObject({ healthy: false });
  });

  it.each(['table', 'json', 'jsonl', 'name'])(
    'whatever servers say, no control character is printed (%s)',
    async (format) => {
      const evil = '\u001b[2J\u009b31m\r\u0007\u202e\u001b]0;x\u0007\nhealthy';
      const health = { healthy: false, reasons: [evil], brokerSets: [{ name: evil, members: [], warnings: [evil] }] };
      me.fetch = async () => new Response(JSON.stringify({ ...health, name: evil, says: evil, items: [] }));
      me.isTerminal = true;
      for (const command of [
        ['cluster', 'health'],
        ['cluster', 'info'],
        ['broker', 'list'],
        ['topic', 'list'],
      ]) {
        const { out, err } = await comet(...command, '-o', format);
        const ours = /\n|\u001b\[(0|1|31|32)m/gu; // eslint-disable-line no-control-regex -- the escape character begins colours
        expect((out + err).replace(ours, '')).not.toMatch(/[\p{Cc}\u202e]/u);
        expect(out).not.toMatch(/^healthy$/m);
      }
      me.fetch = async () => new Response(JSON.stringify({ code: 'CONFLICT', detail: evil }), { status: 409 });
      expect((await comet('cluster', 'health')).err).toContain('\\u001b[2J');
    },
  );

  it('lets a broker set whose disks are lost begin anew, when one says yes and nobody leads it', async () => {
    const forget = ['broker', 'forget', 'broker-0'];
    expect(await comet(...forget)).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    expect(await comet(...forget, '--yes')).toMatchObject({
      code: 4,
      err: expect.stringContaining('leads broker set'),
    });
    fixture.nameService.putSet({ ...brokerSet, leader: undefined, leaderMember: undefined });
    const gone = {
      code: 0,
      out: '',
      err: 'broker set "broker-0": members forgotten; its next broker starts with an empty log\n',
    };
    expect(await comet(...forget, '--yes')).toEqual(gone);
    expect(fixture.nameService.sets.get('broker-0')?.inSync).toEqual([]);
    expect((await comet('broker', 'forget', 'nope', '--yes')).code).toBe(3);
  });

  it('is watched until it is healthy, through times when nobody answers', async () => {
    me.env['COMET_API'] = 'http://127.0.0.1:1';
    const timedOut = await comet(
      'cluster',
      'health',
      '--watch',
      '--exit-when-healthy',
      '--timeout',
      '80ms',
      '--every',
      '10ms',
    );
    expect(timedOut).toMatchObject({ code: 6, err: expect.stringContaining('not healthy within') });
    me.env['COMET_API'] = fixture.url;
    fixture.brokers.states.clear();
    const watching = comet('cluster', 'health', '--watch', '--exit-when-healthy', '--every', '10ms');
    await until(() => me.out.startsWith('not healthy'));
    fixture.brokers.states.set('broker-0', {});
    const { code, out } = await watching;
    expect([code, lines(out).at(-1)]).toEqual([0, 'healthy']);
    expect(lines(out)).toHaveLength(2); // Said when it changes, not each time.
  });

  it('shows how each broker set of several members is kept, and has its leader hand over', async () => {
    const ids = ['a', 'b', 'c'].map((name) => memberId(`broker-1-${name}/7f`));
    const members = ids.map((member, i) => ({ member, address: `10.0.0.${i}:1` }));
    fixture.nameService.putSet({
      ...{ name: 'broker-1', epoch: 4, leader: members[0]!.address, leaderMember: ids[0], members, quorum: 2 },
      ...{ stage: 'serving', inSync: [], writable: true, registeredMs: 1 },
    });
    fixture.brokers.states.set('broker-1', {});
    const phases = { noticeMs: 60, promiseMs: 12.4, fetchMs: 0, transactionMs: 20, startRecordMs: 8, foldMs: 100 };
    fixture.members.statuses.set(members[0]!.address, {
      ...{ role: 'leading', member: ids[0]!, epoch: epoch(4) },
      followers: [{ member: ids[1]!, inSync: true, lagBytes: 2_048, lagMs: 3 }],
      lastFailover: { reason: 'closed', epoch: epoch(4), atMs: Date.UTC(2027, 0, 31, 8), ...phases },
      failovers: [{ reason: 'closed', epoch: epoch(4), atMs: Date.UTC(2027, 0, 31, 8), ...phases }],
    });
    fixture.members.statuses.set(members[1]!.address, { member: ids[1]! });
    const health = await comet('cluster', 'health');
    expect(lines(health.out)).toEqual([
      'healthy',
      `broker-1: protected, with no member to spare: waiting for ${ids[2]}, epoch 4, led by broker-1-a`,
      '  broker-1-a  leads',
      '  broker-1-b  in sync, 2.0 KiB, 3ms behind',
      '  broker-1-c  away: 10.0.0.2:1 does not answer',
      expect.stringMatching(
        /^ {2}last take-over 2027-01-31.* \(the leader was gone\): 200 ms: notice 60, promises 12, fetch 0, etcd 20, start 8, fold 100$/,
      ),
    ]);
    expect(JSON.parse((await comet('cluster', 'health', '-o', 'json')).out)).toMatchObject({
      brokerSets: [{ name: 'broker-0' }, { name: 'broker-1', protection: 'noSpare' }],
    });
    const failovers = await comet('cluster', 'failovers', 'broker-1');
    expect(lines(failovers.out)).toEqual([
      expect.stringMatching(/^TIME +EPOCH +LEADER +REASON +MS +PHASES \(MS\)$/),
      expect.stringMatching(/ 4 +broker-1-a +the leader was gone +200 +notice 60, promises 12, .*, fold 100$/),
    ]);
    expect(await comet('cluster', 'may-restart', 'broker-1')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/broker-1-b +false +false +broker-1-c.* must be back in sync first\n/),
    });
    expect(await comet('cluster', 'may-restart', 'broker-1', 'broker-1-b')).toMatchObject({ code: 1 });
    expect(await comet('cluster', 'may-restart', 'broker-1', 'broker-1-c')).toMatchObject({ code: 0 });
    expect(await comet('cluster', 'may-restart', 'broker-1', 'broker-1-z')).toMatchObject({ code: 3 });
    expect(await comet('cluster', 'elect', 'broker-1', '--to', 'broker-1-b')).toMatchObject({ code: 0 });
    expect(await comet('cluster', 'elect', 'broker-1', '--to', 'broker-1-z')).toMatchObject({ code: 3 });
    const replace = ['cluster', 'replace', 'broker-1', 'broker-1-c'];
    expect(await comet(...replace)).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    expect(await comet(...replace, '--yes')).toMatchObject({ code: 0 });
    expect(fixture.members.asked).toEqual([
      `${members[0]!.address}: elect ${ids[1]} in broker-1`,
      `${members[0]!.address}: remove ${ids[2]} of broker-1`,
    ]);
    fixture.members.statuses.set(members[0]!.address, {
      role: 'leading',
      member: ids[0]!,
      epoch: epoch(4),
      says: 'alone',
    });
    expect(await comet('cluster', 'health')).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^not healthy: broker-1: alone\n/),
    });
    const unclean = ['cluster', 'elect', 'broker-1', '--to', 'broker-1-c', '--unclean'];
    expect(await comet(...unclean)).toMatchObject({ code: 2, err: expect.stringContaining('is lost') });
    expect(await comet(...unclean, '--yes')).toMatchObject({
      code: 0,
      err: expect.stringContaining('beyond position 4096 of the log is lost'),
    });
    expect(await comet('cluster', 'elect', 'broker-1', '--unclean')).toMatchObject({ code: 2 });
  });

  it('takes a broker set out once what it holds is consumed, or by force', async () => {
    const member = memberId('broker-1/1');
    fixture.nameService.putSet({
      ...{ name: 'broker-1', epoch: 4, leader: 'b:1', leaderMember: member, members: [{ member, address: 'b:1' }] },
      ...{ quorum: 1, stage: 'serving', inSync: [member], writable: true, registeredMs: 1 },
    });
    fixture.brokers.states.set('broker-1', {});
    const { id } = await fixture.nameService.createTopic({ name: 'orders' });
    await fixture.directory.until(() => fixture.directory.topic('orders'), waitMsMax, 'the topic');
    const queue = { queueId: queueId(0), first: queueOffset(0), next: queueOffset(9), unread: 4 };
    fixture.brokers.topics.set(id, { queues: [queue], bytes: 1 });
    const remove = ['cluster', 'remove', 'broker-1'];
    const stage = (): string | undefined => fixture.directory.brokerSet('broker-1')?.stage;
    expect(await comet(...remove)).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    expect(stage()).toBe('serving');
    me.clockStepMs = 60_000; // The time is over at the first look at the clock, and no call was short of it.
    expect(await comet(...remove, '--yes', '--timeout', '60s')).toMatchObject({
      code: 6,
      err: expect.stringContaining('still holds 4 messages not consumed (orders: 4)'),
    });
    me.clockStepMs = 0;
    expect(stage()).toBe('draining');
    expect(await comet(...remove, '--force')).toMatchObject({
      code: 2,
      err: expect.stringContaining('this is lost: 4 messages not consumed (orders: 4)'),
    });
    expect(await comet('cluster', 'drain', 'broker-1', '--undo')).toMatchObject({ code: 0 });
    expect(stage()).toBe('serving');
    expect(await comet(...remove, '--force', '--yes')).toMatchObject({
      code: 0,
      err: expect.stringContaining('Once it is stopped, this is lost: 4 messages not consumed (orders: 4)'),
    });
    expect(me.err).not.toContain('may be stopped');
    expect(await comet('cluster', 'drain', 'broker-1', '--undo')).toMatchObject({ code: 0 });
    const removed = comet(...remove, '--yes');
    await until(() => me.err.includes('holds 4 messages'));
    fixture.brokers.topics.clear();
    expect(await removed).toMatchObject({ code: 0, err: expect.stringContaining('may be stopped') });
    expect(stage()).toBe('gone');
    // Asked for again: it is not brought back into the routes to be removed once more.
    const drained = jest.spyOn(fixture.members, 'setStage');
    expect(await comet(...remove, '--yes')).toMatchObject({ code: 0, err: expect.stringContaining('may be stopped') });
    expect(drained).not.toHaveBeenCalled();
    drained.mockRestore();
  });

  it('is waited for while a set is taken out, also through a time when nobody says what the set holds', async () => {
    fixture.nameService.putSet({ ...brokerSet, name: 'broker-1' });
    await fixture.directory.until(() => fixture.directory.brokerSet('broker-1'), waitMsMax, 'the broker set');
    fixture.brokers.states.set('broker-1', {});
    let left = 2;
    me.fetch = async (url, init) => {
      if (typeof url !== 'string' || !url.endsWith('/remains')) return fetch(url, init);
      return (left -= 1) >= 0 ? busy() : fetch(url, init);
    };
    const removed = await comet('cluster', 'remove', 'broker-1', '--yes');
    expect(removed).toMatchObject({ code: 0, err: expect.stringContaining('may be stopped') });
    // Whoever has seen enough while a question is open is told what goes on.
    me.fetch = (url, init) => {
      if (typeof url !== 'string' || !url.endsWith('/remains')) return fetch(url, init);
      me.interrupt.abort();
      return fetch(url, init);
    };
    await comet('cluster', 'drain', 'broker-1', '--undo');
    expect(await comet('cluster', 'remove', 'broker-1', '--yes')).toMatchObject({
      code: 1,
      err: expect.stringContaining('broker set "broker-1" goes on draining'),
    });
  });

  it('is not waited for by somebody who has seen enough while it is asked', async () => {
    me.fetch = (_url, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
        me.interrupt.abort();
      });
    expect(await comet('topic', 'ls', '--timeout', '1h')).toMatchObject({ code: 1, err: 'comet: interrupted\n' });
    expect(await comet('cluster', 'health', '--watch', '--timeout', '1h')).toMatchObject({ code: 0, err: '' });
  });

  it('names a set of two whose other member is gone, and not one that is meant to be one', async () => {
    const [member, address] = [memberId('broker-1-a/1'), '10.0.0.1:1'];
    fixture.nameService.putSet({
      ...{ name: 'broker-1', epoch: 4, leader: address, leaderMember: member, members: [{ member, address }] },
      ...{ quorum: 1, stage: 'serving', inSync: [member], writable: true, registeredMs: 1 },
    });
    fixture.brokers.states.set('broker-1', {});
    const health = async (says: string, membersWanted: number): Promise<string[]> => {
      fixture.members.statuses.set(address, { role: 'leading', member, epoch: epoch(4), says, membersWanted });
      return lines((await comet('cluster', 'health')).out);
    };
    const line = 'broker-1: single copy, epoch 4, led by broker-1-a, 1 of 2 members';
    expect(await health('single copy', 2)).toEqual(['healthy', line, '  broker-1-a  leads']);
    expect(await health('alone, as it is meant to be', 1)).toEqual(['healthy']);
  });

  it('is watched for long at no cost', async () => {
    const looked = jest.spyOn(fixture.brokers, 'describe');
    const watching = comet('cluster', 'health', '--watch', '--every', '1ms');
    await until(() => looked.mock.calls.length > 20);
    expect(getEventListeners(me.interrupt.signal, 'abort').length).toBeLessThan(4); // Those of two questions, or a wait's.
    me.interrupt.abort();
    expect((await watching).code).toBe(0);
    looked.mockRestore();
  });

  it('is watched until somebody has seen enough', async () => {
    const watching = comet('cluster', 'health', '--watch', '--every', '1h');
    await until(() => me.out !== '');
    me.interrupt.abort();
    expect(await watching).toMatchObject({ code: 0, out: 'healthy\n' });
  });
});

describe('contexts', () => {
  beforeEach(() => {
    me.env = { XDG_CONFIG_HOME: '/cfg' };
  });

  it('are remembered, used, shown and forgotten', async () => {
    expect((await comet('context', 'add', 'prod', '--api', `${fixture.url}/`, '--endpoint', door.address)).code).toBe(
      0,
    );
    expect((await comet('context', 'add', 'local', '--use')).code).toBe(0);
    expect([...me.files.keys()].sort()).toEqual([
      ...['/cfg/cometmq/contexts/local.json', '/cfg/cometmq/contexts/prod.json', '/cfg/cometmq/current'],
    ]);
    expect((await comet('context', 'ls')).out).toMatch(
      /^NAME +API .*\nlocal \* +http:\/\/127\.0\.0\.1:8082 +127\.0\.0\.1:8081 +false +-\nprod /,
    );
    expect((await comet('context', 'use', 'prod')).code).toBe(0);
    expect(JSON.parse((await comet('context', 'show', '-o', 'json')).out)).toMatchObject({
      ...{ name: 'prod', current: true, api: fixture.url },
    });
    expect((await comet('cluster', 'health')).out).toBe('healthy\n'); // Speaks to it.
    expect((await comet('send', 'by-context', 'x')).code).toBe(0);
    expect((await comet('context', 'rm', 'prod')).code).toBe(0);
    expect((await comet('context', 'show')).code).toBe(3);
    expect((await comet('context', 'ls', '-o', 'name')).out).toBe('local\n');
  });

  it('give way to flags and variables', async () => {
    await comet('context', 'add', 'dead', '--api', 'http://127.0.0.1:1', '--use');
    expect((await comet('cluster', 'health')).code).toBe(5);
    expect((await comet('cluster', 'health', '--api', fixture.url)).code).toBe(0);
    await comet('context', 'add', 'living', '--api', fixture.url);
    expect((await comet('--context', 'living', 'cluster', 'health')).code).toBe(0);
    me.env['COMET_CONTEXT'] = 'living';
    expect((await comet('cluster', 'health')).code).toBe(0);
  });

  it.each([
    [['context', 'use', 'nope'], 3, 'there is no context "nope"'],
    [['context', 'rm', 'nope'], 3, 'there is no context "nope"'],
    [['context', 'add', '../evil'], 2, '1 to 64 letters'],
    [['context', 'add', 'a', '--api', 'ftp://x'], 2, 'must be a URL like'],
    [['context', 'add', 'a', '--endpoint', 'x'], 2, 'must be host:port'],
    [['--context', 'nope', 'topic', 'ls'], 3, 'there is no context "nope"'],
  ])('refuse %j', async (argv, code, said) => {
    const ran = await comet(...argv);
    expect(ran).toMatchObject({ code, out: '', err: expect.stringContaining(said) });
    expect(me.files.size).toBe(0);
  });

  it('say which file is broken', async () => {
    me.files.set('/cfg/cometmq/contexts/bad.json', '{');
    expect(await comet('--context', 'bad', 'topic', 'ls')).toMatchObject({
      ...{ code: 2, err: 'comet: /cfg/cometmq/contexts/bad.json: is not JSON\n' },
    });
  });
});

describe('exit codes', () => {
  it.each([
    [2, ['topic', 'create'], 'missing required argument'],
    [2, ['topic', 'ls', '--limt', '3'], 'unknown option'],
    [2, ['topics'], 'Did you mean topic?'],
    [2, ['topic', 'create', 'a', '--queues', '0'], 'must be a whole number from 1 to 1024'],
    [2, ['topic', 'create', 'a', '--retention', 'soon'], 'must be a duration like'],
    [2, ['topic', 'create', 'a', '--type', 'x'], 'Allowed choices are'],
    [2, ['topic', 'alter', 'a'], 'nothing to change'],
    [2, ['topic', 'ls', '-o', 'yaml'], 'Allowed choices are'],
    [2, ['receive', 'a'], "required option '-g, --group <name>'"],
    [2, ['send', 'a', 'b', '--file', 'c'], 'not both'],
    [2, ['send', 'a', '--file', '/nope'], 'no such file'],
    [2, ['send', 'a', 'b', '-p', 'novalue'], 'must be name=value'],
    [2, ['group', 'create', 'g', '--start', 'soon'], 'must be auto, first, end or a time'],
    [3, ['topic', 'describe', 'nope'], 'create it with "comet topic create"'],
    [3, ['group', 'describe', 'nope'], 'create it with "comet group create"'],
    [3, ['tail', 'nope'], 'there is no topic'],
    [4, ['topic', 'create', 'or ders'], 'may hold only letters'],
    [4, ['topic', 'create', 'taken'], 'exists already'],
    [5, ['topic', 'ls', '--api', 'http://127.0.0.1:1'], "can't be reached: bad port"],
    [5, ['send', 'a', 'b', '--endpoint', '127.0.0.1:1', '--timeout', '2s'], 'comet: '],
  ])('%i for %j', async (code, argv, said) => {
    await fixture.nameService.createTopic({ name: 'taken' });
    const ran = await comet(...argv);
    expect(ran).toEqual({ code, out: '', err: expect.stringContaining(said) });
  });

  it('5 where nobody listens, with the reason', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.close();
    await once(server, 'close');
    const ran = await comet('topic', 'ls', '--api', api);
    expect(ran).toMatchObject({
      code: 5,
      err: expect.stringContaining(`${api} can't be reached: connect ECONNREFUSED`),
    });
  });

  it('0 for help and version, which go to standard output', async () => {
    expect(await comet('--version')).toMatchObject({ code: 0, out: '0.1.0\n' });
    expect(await comet('--help')).toMatchObject({ code: 0, err: '', out: expect.stringContaining('6 timed out') });
  });

  describe('of a server that is not ours, or does not answer', () => {
    let server: Server;
    let answer: { status: number; body: string } | undefined;
    beforeAll(async () => {
      server = createServer((_request, response) => {
        if (answer) response.writeHead(answer.status).end(answer.body);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => {
      server.closeAllConnections();
      server.close();
    });

    it.each([
      [1, { status: 200, body: '<html>' }, 'not as the REST API of CometMQ does'],
      [3, { status: 404, body: '<html>' }, 'not as the REST API of CometMQ does'],
      [5, { status: 503, body: 'no healthy upstream' }, 'answered 503'],
      [1, { status: 500, body: '{"code":"INTERNAL","detail":"unexpected failure"}' }, 'unexpected failure'],
      [4, { status: 429, body: '{"code":"TOO_MANY_REQUESTS","detail":"slow\\u001b[2J down"}' }, 'slow\\u001b[2J down'],
      [6, undefined, 'did not answer within 100 ms'],
    ])('%i for %j', async (code, given, said) => {
      answer = given;
      const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const ran = await comet('topic', 'ls', '--api', api, '--timeout', given ? '60s' : '100ms');
      expect(ran).toEqual({ code, out: '', err: expect.stringContaining(said) });
    });
  });
});

describe('metadata that was lost', () => {
  it('may be brought back by brokers once it is said so, and not without', async () => {
    const asked = await comet('cluster', 'adopt');
    expect([asked.code, asked.err]).toEqual([2, expect.stringContaining('--yes')]);
    const { code, err } = await comet('cluster', 'adopt', '--yes');
    expect([code, err]).toEqual([
      0,
      expect.stringContaining('brokers may bring the metadata that their logs know until'),
    ]);
  });
});

it('who did what is listed, and told from who was refused', async () => {
  await comet('topic', 'create', 'orders');
  await comet('topic', 'delete', 'orders', '--yes');
  const listed = await comet('audit', '--operation', 'deleteTopic');
  expect(listed.out).toMatch(/^WHEN .*DECISION/);
  expect(lines(listed.out)[1]).toMatch(/127\.0\.0\.1 +deleteTopic +\{"name":"orders"\} +done/);
  expect(JSON.parse((await comet('audit', '--max', '1', '-o', 'json')).out)).toMatchObject([
    { operation: 'deleteTopic', before: { name: 'orders' } },
  ]);
  expect((await comet('audit', '--decision', 'refused')).out).not.toContain('deleteTopic');
});

describe('help', () => {
  const commands = [
    ...['context', 'topic', 'group', 'msg', 'cluster', 'broker', 'send', 'receive', 'tail'].map((name) => [name]),
    ...['add', 'use', 'ls', 'show', 'rm'].map((name) => ['context', name]),
    ...['create', 'ls', 'describe', 'alter', 'delete'].flatMap((name) => [
      ['topic', name],
      ['group', name],
    ]),
    ...['send', 'receive', 'tail'].map((name) => ['msg', name]),
    ...['health', 'info', 'adopt', 'elect', 'replace', 'drain', 'remove'].map((name) => ['cluster', name]),
    ['broker', 'forget'],
    ['audit'],
    [],
  ];
  it.each(commands.map((words) => [words.join(' ') || 'comet', words] as const))(
    'of %s ends with examples',
    async (_n, words) => {
      const { code, out } = await comet(...words, '--help');
      expect(code).toBe(0);
      const last = out.slice(out.lastIndexOf('\nExamples:\n') + 11);
      expect(last).toMatch(/^( {2}comet .+\n)+$/);
    },
  );

  it('does not show mqadmin’s names', async () => {
    expect((await comet('--help')).out).not.toMatch(/updateTopic|topicList/);
  });
});

describe('colours', () => {
  it('are for terminals, unless somebody said no', async () => {
    me.isTerminal = true;
    expect((await comet('cluster', 'health')).out).toBe('\u001b[32mhealthy\u001b[0m\n');
    expect((await comet('cluster', 'health', '--no-color')).out).toBe('healthy\n');
    me.env['NO_COLOR'] = '1';
    expect((await comet('cluster', 'health')).out).toBe('healthy\n');
  });
});

describe('what the log knows', () => {
  const found = (topicId: number, position: number, messageId: string) =>
    ({
      ...{ topicId, originTopicId: topicId, queueId: 0, offset: position, position, size: 100, storedMs: position },
      ...{ messageId, tag: 'paid', messageGroup: '', keys: ['k1'], type: 1, bodyBytes: 3, dueMs: 0, liteTopic: '' },
    }) as never;

  it('is found page by page, and its life and why it is not consumed are told', async () => {
    await comet('topic', 'create', 'orders');
    await comet('group', 'create', 'billing');
    const { inspect } = fixture.brokers;
    const topicId = fixture.nameService.topics.get('orders')?.id ?? 0;
    inspect.messages.set('broker-0', [found(topicId, 1, 'A'), found(topicId, 2, 'B'), found(topicId, 3, 'C')]);
    inspect.partMax = 2;
    expect((await comet('msg', 'find', 'orders', '-o', 'name')).out).toBe(
      'broker-0~3~100\nbroker-0~2~100\nbroker-0~1~100\n',
    );
    expect((await comet('msg', 'find', 'orders', '--property', 'a=b=c', '--text', 'x y')).code).toBe(0);
    expect(inspect.queries.at(-1)).toMatchObject({ propertyName: 'a', propertyValue: 'b=c', text: 'x y' });
    expect((await comet('msg', 'find')).code).not.toBe(0);
    const none = { groupId: 0, clientId: '', attempt: 0, untilMs: 0, topicId, queueId: 0, offset: 1, who: '' };
    const event = { ...none, atMs: 1, kind: 'stored', position: 1 } as never;
    inspect.lives.set(1, { events: [event], indexedTo: 9, cut: false });
    inspect.contents.set(1, {
      ...{ message: found(topicId, 1, 'A'), properties: new Map(), body: new Uint8Array(0), cut: false },
      ...{ bodyBytes: 0, encoding: 'identity', bornHost: '', bornMs: 0, traceContext: '' },
    });
    expect((await comet('msg', 'life', 'broker-0~1~100', '-o', 'name')).out).toBe('stored\n');
    expect((await comet('msg', 'why', 'broker-0~1~100', '-g', 'billing')).out).toContain(
      'nobody consumes in group billing now',
    );
  });

  it('has how a group was moved, and takes it back once it was asked', async () => {
    await comet('topic', 'create', 'orders');
    await comet('group', 'create', 'billing');
    const topicId = fixture.nameService.topics.get('orders')?.id ?? 0;
    const queues = [{ queueId: 0, before: 3, after: 7 }];
    const { inspect } = fixture.brokers;
    expect(await comet('undo', 'billing', '--yes')).toMatchObject({
      code: 3,
      err: expect.stringContaining('was not moved in the last 24 hours'),
    });
    expect(await comet('undo', 'billing', 'm7', '--yes')).toMatchObject({
      code: 3,
      err: expect.stringContaining('has no move "m7"'),
    });
    inspect.moved.set('broker-0', [
      { moveId: 'm1', atMs: Date.now(), who: 'ada', undoes: '', topicId, queues } as never,
    ]);
    expect((await comet('group', 'moves', 'billing', '-o', 'name')).out).toBe('m1\n');
    expect((await comet('undo', 'billing', '--yes')).code).toBe(0);
    expect(fixture.brokers.resets.at(-1)).toMatchObject({ to: { at: 'offset', offset: 3 }, move: { undoes: 'm1' } });
    inspect.lags.set('broker-0', [{ atMs: Date.now(), lag: 5, oldestMs: 0 }]);
    expect((await comet('group', 'lag', 'billing', '--history')).out).toMatch(/ 5 +-\n$/);
  });
});

it('takes the deletion of a topic back, in the place of a newer one where that is said', async () => {
  await fixture.nameService.createTopic({ name: 'orders' });
  const { id } = fixture.nameService.topics.get('orders')!;
  fixture.nameService.graceMs = 60_000;
  await comet('topic', 'delete', 'orders', '--yes');
  await comet('topic', 'create', 'orders');
  expect(await comet('undo', 'orders', '--yes')).toMatchObject({ code: 4, err: expect.stringContaining('another') });
  expect((await comet('undo', 'orders', '--replace', '--yes')).code).toBe(0);
  expect(fixture.nameService.topics.get('orders')?.id).toBe(id);
});

describe('a replay of dead letters', () => {
  const replay = { id: 'r1', state: 'running', replayed: 3, resent: 0, left: {} };
  const json = (body: unknown): Response => new Response(JSON.stringify(body));
  const asked: string[] = [];
  /** The replays, as each look in turn is answered. */
  const looks = (...answers: readonly (() => Response)[]): void => {
    asked.length = 0;
    let next = 0;
    me.fetch = async (_url, init) => {
      asked.push(init?.method ?? '');
      if (init?.method !== 'GET') return json(replay);
      next += 1;
      return (answers[next - 1] ?? busy)();
    };
  };

  it('is waited for through a time when nobody says how it goes', async () => {
    looks(
      busy,
      () => json({ items: [replay] }),
      busy,
      () => json({ items: [{ ...replay, state: 'done' }] }),
    );
    expect(await comet('dlq', 'replay', 'billing', '--rate', '5')).toMatchObject({ code: 0, err: '' });
  });

  it('may go on where nobody says so for long', async () => {
    looks();
    me.clockStepMs = 50_000;
    expect(await comet('dlq', 'replay', 'billing', '--rate', '5', '--timeout', '1h')).toMatchObject({
      code: 5,
      err: 'comet: replay r1 may go on, but nobody says so: not now\n',
    });
  });

  it('is stopped by somebody who has seen enough, also while it is looked at', async () => {
    looks(() => {
      me.interrupt.abort();
      return busy();
    });
    expect((await comet('dlq', 'replay', 'billing', '--rate', '5')).err).toContain('the replay was stopped');
    expect(asked).toEqual(['POST', 'GET', 'DELETE']);
  });
});

describe('backups', () => {
  it('are made, listed and looked through', async () => {
    const made = await comet('backup', 'run');
    expect([made.code, made.err]).toEqual([0, expect.stringMatching(/^backup \d{8}T\d{6}Z of broker-0: whole\n$/)]);
    const id = /\d{8}T\d{6}Z/.exec(made.err)?.[0] ?? '';
    expect((await comet('backup', 'ls', '-o', 'name')).out).toBe(`broker-0/${id}\n`);
    const { backups } = fixture.brokers;
    backups.problems = ['log/1.log is missing'];
    expect(await comet('backup', 'verify', id)).toMatchObject({
      ...{ code: 1, err: `log/1.log is missing\nbackup ${id} of broker-0: not whole\n` },
    });
    backups.problems = [];
    expect((await comet('backup', 'verify', id)).code).toBe(0);
  });

  it('go on where somebody does not wait for them any more', async () => {
    fixture.brokers.backups.goesOn = true;
    const running = comet('backup', 'run');
    await until(() => fixture.brokers.backups.jobs.size > 0);
    me.interrupt.abort();
    expect(await running).toMatchObject({
      code: 1,
      err: expect.stringMatching(/goes on by itself: comet backup list\n$/),
    });
  });

  it('that fail, or can not be begun, are no success', async () => {
    const { backups } = fixture.brokers;
    backups.failure = 'the bucket does not answer';
    const failed = await comet('backup', 'run');
    expect(failed.code).not.toBe(0);
    expect(failed.err).toContain('of broker-0 failed: the bucket does not answer');
    fixture.nameService.putSet({ ...brokerSet, name: 'broker-1' });
    await fixture.directory.until(() => fixture.directory.brokerSet('broker-1'), waitMsMax, 'the broker set');
    backups.failure = undefined;
    const partly = await comet('backup', 'run');
    expect(partly.code).not.toBe(0);
    expect(partly.err).toMatch(/of broker-0: whole\n[^]*broker-1/);
  });
});

describe('mqadmin’s names', () => {
  it('set where a group goes on', async () => {
    for (const topic of ['orders']) await comet('topic', 'create', topic);
    for (const group of ['billing', 'audit']) await comet('group', 'create', group);
    const common = ['-n', 'nameserver:9876', '-y'];
    const of = ['-g', 'billing', '-t', 'orders'];
    await comet('resetOffsetByTime', ...of, '-s', '1763805600000', ...common);
    await comet('resetOffsetByTime', ...of, '-s', '2026-11-22#10:00:00:000', ...common);
    await comet('resetOffsetByTime', ...of, '-s', 'now', ...common);
    await comet('skipAccumulatedMessage', ...of, ...common);
    await comet('cloneGroupOffset', '-s', 'audit', '-d', 'billing', '-t', 'orders', ...common);
    expect(fixture.brokers.resets.map(({ to }) => to)).toEqual([
      { at: 'time', timeMs: 1_763_805_600_000 },
      { at: 'time', timeMs: new Date(2026, 10, 22, 10).getTime() },
      { at: 'end' },
      { at: 'end' },
      { at: 'group', groupId: fixture.nameService.groups.get('audit')?.id },
    ]);
    expect((await comet('resetOffsetByTime', ...of, '-s', 'yesterday', ...common)).code).not.toBe(0);
  });

  it('do what they did', async () => {
    const update = ['updateTopic', '-n', 'localhost:9876', '-c', 'DefaultCluster', '-t', 'old'];
    expect((await comet(...update, '-r', '8', '-w', '8', '-a', '+message.type=FIFO')).code).toBe(0);
    expect(fixture.nameService.topics.get('old')).toMatchObject({ type: 2, writeQueues: 8 });
    expect((await comet(...update, '-p', '4')).code).toBe(0);
    expect(fixture.nameService.topics.get('old')).toMatchObject({ permission: 'read', writeQueues: 8 });
    await fixture.directory.until(() => fixture.directory.topic('old'), waitMsMax, 'the topic');
    expect((await comet('topicList', '-n', 'localhost:9876', '-o', 'name')).out).toBe('old\n');
    expect((await comet('topicStatus', '-t', 'old')).out).toMatch(/^NAME +old/);
    expect((await comet('topicRoute', '-t', 'old', '-o', 'name')).out).toBe('old\n');
    expect((await comet('updateSubGroup', '-n', 'x', '-c', 'y', '-g', 'grp', '-r', '4')).code).toBe(0);
    expect(fixture.nameService.groups.get('grp')).toMatchObject({ attemptsMax: 5 });
    expect((await comet('updateSubGroup', '-g', 'grp')).code).toBe(0);
    expect((await comet('consumerProgress', '-g', 'grp')).out).toMatch(/^NAME +grp/);
    expect((await comet('consumerProgress', '-o', 'name')).out).toBe('grp\n');
    expect((await comet('clusterList', '-n', 'localhost:9876', '-m')).out).toMatch(/^CLUSTER/);
    expect((await comet('sendMessage', '-t', 'old', '-p', 'body', '-c', 'tag', '-k', 'k1 k2')).code).toBe(0);
    expect(door.messages.get('old')?.[0]?.systemProperties).toMatchObject({ tag: 'tag', keys: ['k1', 'k2'] });
    expect((await comet('consumeMessage', '-t', 'old', '-g', 'grp', '-c', '1', '-o', 'jsonl')).out).toContain(
      '"body":"body"',
    );
    expect((await comet('deleteTopic', '-n', 'x', '-c', 'y', '-t', 'old', '--yes')).code).toBe(0);
    expect((await comet('deleteSubGroup', '-g', 'grp', '-y')).code).toBe(0);
    expect([fixture.nameService.topics.size, fixture.nameService.groups.size]).toEqual([0, 0]);
  });

  it('refuse what they can not do', async () => {
    expect((await comet('updateTopic', '-t', 'a', '-p', '7')).code).toBe(2);
    expect((await comet('updateTopic', '-t', 'a', '-a', '+x=y')).code).toBe(2);
    expect((await comet('updateTopic')).code).toBe(2);
  });
});

describe('what waits', () => {
  const place = (topicId: TopicId, position: number, dueMs: number) => {
    return { topicId, position: position as LogPosition, size: 300, dueMs };
  };

  it('is listed, rescheduled and cancelled: delayed messages', async () => {
    const { id: topicId } = await fixture.nameService.createTopic({ name: 'later', type: TopicType.delay });
    const dueMs = Date.parse('2030-01-02T03:04:05Z');
    const state = { messageId: 'M1', tag: 'A', storedMs: 1 };
    fixture.brokers.waiting.delayed.set('broker-0', [
      { place: place(topicId, 1, dueMs), ...state },
      { place: place(topicId, 2, dueMs + 1), ...state, messageId: 'M2' },
    ]);
    await fixture.directory.until(() => fixture.directory.topic('later'), waitMsMax, 'the topic');
    const { out } = await comet('delayed', 'ls', '--topic', 'later', '--max', '1', '-o', 'json');
    expect(JSON.parse(out)).toMatchObject([{ topic: 'later', messageId: 'M1', dueMs }]);
    const [{ id }] = JSON.parse(out) as [{ id: string }];
    expect((await comet('delayed', 'describe', id)).out).toMatch(/DUE +2030-01-02/);
    const moved = await comet('delayed', 'reschedule', id, '--at', '2031-01-01T00:00Z', '-o', 'jsonl');
    expect(JSON.parse(moved.out)).toMatchObject({ dueMs: Date.parse('2031-01-01T00:00Z') });
    expect((await comet('delayed', 'reschedule', id)).err).toContain('--at and --in');
    expect(await comet('delayed', 'cancel', id, '--yes')).toEqual({
      ...{ code: 0, out: '', err: 'the message will never be delivered\n' },
    });
    expect((await comet('delayed', 'cancel', id, '--yes')).code).not.toBe(0);
  });

  it('is listed and decided on: transactions', async () => {
    const { id: topicId } = await fixture.nameService.createTopic({ name: 'deals', type: TopicType.transaction });
    const times = { storedMs: 1_000, checks: 15, lastCheckMs: 2_000, nextCheckMs: 3_000 };
    fixture.brokers.waiting.half.set('broker-0', [
      { place: place(topicId, 1, 0), messageId: 'H1', tag: '', ...times, parked: true },
    ]);
    await fixture.directory.until(() => fixture.directory.topic('deals'), waitMsMax, 'the topic');
    expect((await comet('transaction', 'ls')).out).toMatch(/deals +H1 +15 .*parked/);
    const id = (await comet('transaction', 'ls', '-o', 'name')).out.trim();
    expect((await comet('transaction', 'describe', id, '-o', 'json')).out).toContain('"messageId": "H1"');
    expect((await comet('transaction', 'commit', id, '--who', 'ada')).err).toContain('--yes');
    expect((await comet('transaction', 'commit', id, '--who', 'ada', '--yes')).code).toBe(0);
    expect((await comet('transaction', 'audits')).out).toMatch(/ada +commit +deals/);
  });
});
