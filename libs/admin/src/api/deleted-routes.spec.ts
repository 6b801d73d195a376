// Goal: who deletes is noted, whether for good is asked for, and what can be brought back is shown and brought back. Method:
// the real API over a name service that notes what it is asked.
import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let fixture: AdminFixture;
beforeAll(async () => (fixture = await startAdminFixture({ graceMs: 3_600_000 })));
afterAll(() => fixture.stop());

async function ask(method: string, path: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${fixture.url}/api/v1${path}`, { method });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

it('passes on who deletes, and whether it is for good', async () => {
  const { nameService } = fixture;
  for (const [name, query] of [
    ['orders', ''],
    ['others', '?now=true'],
  ] as const) {
    await nameService.createTopic({ name });
    expect((await ask('DELETE', `/topics/${name}${query}`)).status).toBe(204);
  }
  expect(nameService.deletions).toEqual([
    { now: false, who: '127.0.0.1' },
    { now: true, who: '127.0.0.1' },
  ]);
  expect((await ask('DELETE', '/topics/orders?now=perhaps')).status).toBe(400);
});

it('shows what can be brought back, and brings it back', async () => {
  const { nameService } = fixture;
  const { retired, graceMs } = await nameService.retired();
  expect((await ask('GET', '/deleted')).body).toEqual({ items: retired, graceMs });
  expect(retired).toMatchObject([{ kind: 'topic', name: 'orders', who: '127.0.0.1' }]);
  expect((await ask('POST', `/deleted/topic/${retired[0]?.id}/restore`)).status).toBe(204);
  expect([...nameService.topics.keys()]).toEqual(['orders']);
  for (const id of ['4294967296', '9999999999']) {
    const answer = await ask('POST', `/deleted/topic/${id}/restore`);
    // Not the name service's word: between processes there is no such id to ask for.
    expect(answer).toMatchObject({ status: 404, body: { detail: 'no topic had this id' } });
  }
  const older = nameService.topics.get('orders')?.id;
  await ask('DELETE', '/topics/orders');
  await nameService.createTopic({ name: 'orders' });
  expect((await ask('POST', `/deleted/topic/${older}/restore`)).status).toBe(409);
  expect((await ask('POST', `/deleted/topic/${older}/restore?replace=false`)).status).toBe(409);
  expect((await ask('POST', `/deleted/topic/${older}/restore?replace=true`)).status).toBe(204);
  expect(nameService.topics.get('orders')?.id).toBe(older);
  expect((await ask('POST', '/deleted/broker/7/restore')).status).toBe(400);
  expect((await ask('POST', '/deleted/topic/seven/restore')).status).toBe(400);
});
