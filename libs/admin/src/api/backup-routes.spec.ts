// Goal: backups of all sets are begun under one name, listed, and looked through; who did not answer is said. Method: the real
// API over brokers that make a backup as soon as they are asked to.
import { MqError } from '@cometmq/shared';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let fixture: AdminFixture;

beforeAll(async () => (fixture = await startAdminFixture()));
afterAll(() => fixture.stop());
beforeEach(() => {
  const { nameService, brokers } = fixture;
  brokers.reset();
  const set = { epoch: 1, leader: 'a:1', leaderMember: 'a/1', inSync: ['a/1'], writable: true, registeredMs: 1 };
  nameService.reset(['broker-0', 'broker-1'].map((name) => ({ ...set, name })) as never);
  for (const name of ['broker-0', 'broker-1']) brokers.states.set(name, {});
});

interface Answer {
  readonly id: string;
  readonly brokerSets: readonly { readonly brokerSet: string; readonly backups: readonly { readonly id: string }[] }[];
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
  readonly detail: string;
}

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Answer }> {
  const answer = await fetch(`${fixture.url}/api/v1/backups${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return { status: answer.status, body: (await answer.json()) as Answer };
}

it('of all broker sets are begun under one name, listed, and looked through', async () => {
  const begun = await ask('POST', '', {});
  expect([begun.status, begun.body.brokerSets]).toEqual([202, ['broker-0', 'broker-1']]);
  expect(begun.body.id).toMatch(/^\d{8}T\d{6}Z$/);
  const { body } = await ask('GET', '');
  expect(body.brokerSets.map(({ brokerSet, backups }) => [brokerSet, backups.map(({ id }) => id)])).toEqual([
    ['broker-0', [begun.body.id]],
    ['broker-1', [begun.body.id]],
  ]);
  expect(body.brokerSets[0]).toMatchObject({ job: { kind: 'backup', id: begun.body.id, endedMs: 1_020 } });
  expect((await ask('GET', '?max=0')).body.brokerSets[0]?.backups).toEqual([]);
  expect((await ask('POST', `/${begun.body.id}/verification`, { brokerSet: 'broker-1' })).status).toBe(202);
  expect(fixture.brokers.backups.verified).toEqual([`broker-1 ${begun.body.id}`]);
});

it('are made of what answers, and who does not is named', async () => {
  fixture.brokers.states.delete('broker-1');
  const begun = await ask('POST', '', {});
  expect([begun.status, begun.body.brokerSets]).toEqual([202, ['broker-0']]);
  expect(begun.body.missing).toEqual([{ brokerSet: 'broker-1', detail: expect.any(String) as string }]);
  expect((await ask('GET', '')).body.missing).toHaveLength(1);
});

it('are refused where there is no bucket, no such set, or no such name', async () => {
  expect((await ask('POST', '', { brokerSet: 'broker-9' })).status).toBe(404);
  expect((await ask('POST', '/yesterday/verification', {})).status).toBe(400);
  expect((await ask('GET', '?max=-1')).status).toBe(400);
  fixture.brokers.backups.refusal = new MqError('UNSUPPORTED', 'there is no place for backups');
  const refused = await ask('POST', '', {});
  expect([refused.status, refused.body.detail]).toEqual([501, expect.stringContaining('no place for backups')]);
});
