/** Delayed messages and transactions over REST: pages over several broker sets, and what an operator does with one. */
import type { DelayedState, HalfState } from '@cometmq/client';
import { MessageType, PendingHandles, type LogPosition, type Topic } from '@cometmq/model';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let fixture: AdminFixture;
let later: Topic;
let deals: Topic;

beforeAll(async () => {
  fixture = await startAdminFixture();
});
afterAll(() => fixture.stop());
beforeEach(async () => {
  const { brokers, nameService, directory } = fixture;
  brokers.reset();
  const broker = {
    epoch: 1,
    leader: '',
    leaderMember: 'm',
    members: [{ member: 'm', address: '' }],
    quorum: 1,
    stage: 'serving' as const,
    inSync: ['m'],
    writable: true,
    registeredMs: 1,
  };
  nameService.reset([
    { ...broker, name: 'broker-0' },
    { ...broker, name: 'broker-1' },
  ]);
  for (const name of ['broker-0', 'broker-1']) brokers.states.set(name, {});
  later = await nameService.createTopic({ name: 'later', type: MessageType.delay });
  deals = await nameService.createTopic({ name: 'deals', type: MessageType.transaction });
  await directory.until(() => directory.topic('deals'), 60_000, 'the topics');
});

const delayed = (position: number, dueMs: number, topic = later): DelayedState => ({
  place: { topicId: topic.id, position: position as LogPosition, size: 300, dueMs },
  messageId: `m${position}`,
  tag: 'A',
  storedMs: 5,
});
const half = (position: number, storedMs: number): HalfState => ({
  place: { topicId: deals.id, position: position as LogPosition, size: 300, dueMs: 0 },
  messageId: `h${position}`,
  tag: '',
  storedMs,
  checks: 2,
  lastCheckMs: 8,
  nextCheckMs: 9,
  parked: position % 2 === 0,
});

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'content-type': 'application/json' };
  }
  const response = await fetch(`${fixture.url}/api/v1${path}`, init);
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

interface Listed {
  readonly items: readonly { readonly id: string; readonly messageId: string }[];
  readonly total: number;
  readonly next?: string;
}

async function pages(path: string): Promise<string[]> {
  const ids: string[] = [];
  for (let after = ''; ;) {
    const { status, body } = await call('GET', `${path}limit=3${after}`);
    expect(status).toBe(200);
    const { items, next } = body as Listed;
    ids.push(...items.map(({ messageId }) => messageId));
    if (next === undefined) return ids;
    after = `&after=${encodeURIComponent(next)}`;
  }
}

describe('delayed messages', () => {
  beforeEach(() => {
    const { waiting } = fixture.brokers;
    waiting.delayed.set('broker-0', [delayed(1, 100), delayed(2, 200), delayed(3, 200), delayed(4, 200)]);
    waiting.delayed.set('broker-1', [delayed(1, 200), delayed(9, 150), delayed(5, 200), delayed(7, 900, deals)]);
  });

  it('are listed in order of time over all broker sets, page by page, by topic and time', async () => {
    expect(await pages('/delayed?')).toEqual(['m1', 'm9', 'm2', 'm3', 'm4', 'm1', 'm5', 'm7']);
    expect(await pages('/delayed?topic=deals&')).toEqual(['m7']);
    expect(await pages('/delayed?fromMs=150&toMs=200&')).toEqual(['m9']);
    expect((await call('GET', '/delayed')).body).toMatchObject({ total: 8, missing: [] });
    expect(await call('GET', '/delayed?topic=nobody')).toMatchObject({
      status: 404,
      body: { code: 'TOPIC_NOT_FOUND' },
    });
    expect(await call('GET', '/delayed?after=x')).toMatchObject({ status: 400 });
    expect(await call('GET', '/delayed?fromMs=200&toMs=150')).toMatchObject({ status: 400 });
  });

  it('say who did not answer', async () => {
    fixture.brokers.states.delete('broker-1');
    const { body } = await call('GET', '/delayed');
    expect(body).toMatchObject({ total: 4, missing: [{ brokerSet: 'broker-1' }] });
  });

  it('are shown, moved and cancelled by an id that is the recall handle of their sender', async () => {
    const { place } = delayed(9, 150);
    const id = new PendingHandles(fixture.directory.secret).write('recall', { broker: 'broker-1', place });
    expect(await call('GET', `/delayed/${id}`)).toMatchObject({
      status: 200,
      body: { id, topic: 'later', brokerSet: 'broker-1', messageId: 'm9', dueMs: 150, bytes: 300 },
    });
    expect(await call('PATCH', `/delayed/${id}`, { dueMs: 777 })).toMatchObject({ status: 200, body: { dueMs: 777 } });
    expect((await call('DELETE', `/delayed/${id}`)).status).toBe(204);
    expect(await call('DELETE', `/delayed/${id}`)).toMatchObject({ status: 404, body: { code: 'MESSAGE_NOT_FOUND' } });
    expect(await call('PATCH', `/delayed/${id}`, { dueMs: -1 })).toMatchObject({ status: 400 });
    expect(await call('GET', '/delayed/garbage')).toMatchObject({ status: 400, body: { code: 'BAD_REQUEST' } });
  });

  it('that another broker set has by now are shown, moved and cancelled there, by the handle that their sender got', async () => {
    const { place } = delayed(9, 150);
    const id = new PendingHandles(fixture.directory.secret).write('recall', { broker: 'broker-0', place });
    const shown = await call('GET', `/delayed/${id}`);
    expect(shown).toMatchObject({ status: 200, body: { brokerSet: 'broker-1', messageId: 'm9' } });
    expect((shown.body as { id: string }).id).not.toBe(id);
    expect(await call('PATCH', `/delayed/${id}`, { dueMs: 777 })).toMatchObject({
      status: 200,
      body: { brokerSet: 'broker-1', dueMs: 777 },
    });
    expect((await call('DELETE', `/delayed/${id}`)).status).toBe(204);
    expect(await call('GET', `/delayed/${id}`)).toMatchObject({ status: 404, body: { code: 'MESSAGE_NOT_FOUND' } });
  });
});

describe('transactions', () => {
  beforeEach(() => {
    const { waiting } = fixture.brokers;
    waiting.half.set('broker-0', [half(1, 10), half(2, 30)]);
    waiting.half.set('broker-1', [half(3, 20), half(4, 30)]);
  });

  it('are listed oldest first over all broker sets', async () => {
    expect(await pages('/transactions?')).toEqual(['h1', 'h3', 'h2', 'h4']);
    expect((await call('GET', '/transactions?topic=deals&limit=1')).body).toMatchObject({
      total: 4,
      items: [{ messageId: 'h1', topic: 'deals', checks: 2, lastCheckMs: 8, nextCheckMs: 9, parked: false }],
    });
  });

  it('that another broker set has by now are ended there, by the id that their producer got', async () => {
    const { place } = half(3, 20);
    const id = new PendingHandles(fixture.directory.secret).write('transaction', { broker: 'broker-0', place });
    expect(await call('GET', `/transactions/${id}`)).toMatchObject({
      status: 200,
      body: { brokerSet: 'broker-1', messageId: 'h3' },
    });
    expect((await call('POST', `/transactions/${id}/commit`, {})).status).toBe(204);
    expect(await pages('/transactions?')).toEqual(['h1', 'h2', 'h4']);
  });

  it('are committed and rolled back by an operator, and it is kept who', async () => {
    const { items } = (await call('GET', '/transactions')).body as Listed;
    const [first, second] = items;
    if (!first || !second) throw new Error('four are open');
    expect((await call('GET', `/transactions/${first.id}`)).body).toEqual(first);
    expect((await call('POST', `/transactions/${first.id}/commit`, { who: 'ada' })).status).toBe(204);
    expect((await call('POST', `/transactions/${second.id}/rollback`, {})).status).toBe(204);
    expect(await call('POST', `/transactions/${first.id}/rollback`, {})).toMatchObject({ status: 400 });
    expect(await call('GET', `/transactions/${first.id}`)).toMatchObject({ status: 404 });
    const { body } = await call('GET', '/transactions/audits');
    expect((body as { items: unknown[] }).items).toContainEqual(
      expect.objectContaining({ who: 'ada', resolution: 'commit', topic: 'deals', position: 1 }),
    );
    expect((body as { items: unknown[] }).items).toContainEqual(
      expect.objectContaining({ who: '127.0.0.1', resolution: 'rollback' }),
    );
  });
});
