import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { MessageType, queueId, queueOffset, type BrokerSet } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';
import { silentLogger } from '@cometmq/telemetry';
import type { FastifyInstance } from 'fastify';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { buildAdminApi } from './admin-api.js';

let app: FastifyInstance;
let nameService: FakeNameService;
let brokers: FakeBrokers;
let directory: Directory;
const sets = ['broker-0', 'broker-1'].map((name): BrokerSet => {
  return {
    name,
    epoch: 1,
    leader: '',
    members: [],
    quorum: 1,
    stage: 'serving',
    inSync: [],
    writable: true,
    registeredMs: 1,
  };
});

beforeAll(async () => {
  nameService = new FakeNameService({ tellsLate: true });
  brokers = new FakeBrokers();
  directory = new Directory(nameService, systemClock);
  await directory.start();
  const context = { nameService, directory, brokers, clock: systemClock, log: silentLogger, requestMsMax: 60_000 };
  app = await buildAdminApi({
    context,
    host: '127.0.0.1',
    hostNames: [],
    version: '0.1.0',
    stopping: new AbortController().signal,
  });
});
afterAll(async () => {
  await app.close();
  await directory.stop();
});

async function call(method: 'GET' | 'DELETE', path: string) {
  const response = await app.inject({ method, url: `/api/v1${path}`, headers: { host: 'localhost:8082' } });
  const body = response.body === '' ? {} : response.json<Record<string, unknown>>();
  return { status: response.statusCode, body };
}

const state = { queueId: queueId(65_536), first: queueOffset(1), next: queueOffset(9), bytes: 900, lastMs: 5 };

describe('lite topics', () => {
  beforeEach(async () => {
    brokers.reset();
    nameService.reset(sets);
    for (const { name } of sets) brokers.states.set(name, {});
    await nameService.createTopic({ name: 'sessions', type: MessageType.lite });
    await nameService.createTopic({ name: 'orders' });
    const { id } = await nameService.createGroup({ name: 'agents', lite: { topic: 'sessions' } });
    await directory.until(() => directory.group('agents') && directory.topic('orders'), 60_000, 'the group');
    const readers = [{ groupId: id, committed: queueOffset(4), lag: 5, inFlight: 1, subscribers: ['c1'] }];
    for (const name of ['user-1', 'user-2', 'other']) brokers.liteTopics.set(name, { ...state, readers });
  });

  it('are listed set by set, a page at a time', async () => {
    const seen: string[] = [];
    let after: unknown;
    do {
      const query = after === undefined ? '' : `&after=${encodeURIComponent(after as string)}`;
      const { status, body } = await call('GET', `/topics/sessions/lite-topics?prefix=user-&limit=1${query}`);
      expect(status).toBe(200);
      for (const { name, brokerSet } of body.items as { name: string; brokerSet: string }[])
        seen.push(`${brokerSet} ${name}`);
      after = body.next;
    } while (after !== undefined);
    expect(seen).toEqual(['broker-0 user-1', 'broker-0 user-2', 'broker-1 user-1', 'broker-1 user-2']);
  });

  it('are described and deleted', async () => {
    const { status, body } = await call('GET', '/topics/sessions/lite-topics/user-1');
    expect(status).toBe(200);
    expect((body.places as unknown[])[0]).toEqual({
      brokerSet: 'broker-0',
      queueId: 65_536,
      minOffset: 1,
      maxOffset: 9,
      bytes: 900,
      lastMs: 5,
      groups: [{ group: 'agents', committed: 4, lag: 5, inFlight: 1, subscribers: ['c1'] }],
    });
    expect((await call('DELETE', '/topics/sessions/lite-topics/user-1')).status).toBe(204);
    expect((await call('DELETE', '/topics/sessions/lite-topics/user-1')).status).toBe(404);
    expect((await call('GET', '/topics/sessions/lite-topics/user-1')).status).toBe(404);
  });

  it('are refused where there can be none', async () => {
    expect((await call('GET', '/topics/orders/lite-topics')).status).toBe(400);
    expect((await call('GET', '/topics/nothing/lite-topics')).status).toBe(404);
    expect((await call('GET', '/topics/sessions/lite-topics?after=rubbish')).status).toBe(400);
  });
});
