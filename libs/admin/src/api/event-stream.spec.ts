/**
 * Goal: an answer that goes on ends when who asked may no longer have it, and however it ended the audit log says so and how
 * much was given. Method: the real REST API over logs that wait where the spec has them wait.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { FakeIdentities } from '@cometmq/auth/testing';
import { resourceIn } from '@cometmq/auth';
import type { FoundMessage } from '@cometmq/client';
import type { PolicyEntry, Topic } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let identities: FakeIdentities;
let fixture: AdminFixture;
let clock: ManualClock;
let lines: Record<string, unknown>[];
let letters: Topic;
/** The newest answer, as the server has it. */
let answering: ServerResponse;
const noteAnswer = (message: unknown): void => {
  answering = (message as { readonly response: ServerResponse }).response;
};
beforeAll(() => subscribe('http.server.request.start', noteAnswer));
afterAll(() => unsubscribe('http.server.request.start', noteAnswer));
/** Resolves once the server knows that nobody listens any more. */
async function leaves(open: { destroy(): unknown }): Promise<void> {
  const seen = new Promise((resolve) => answering.once('close', resolve));
  open.destroy();
  await seen;
}
/** Resolves what the logs wait for. */
let goOn: () => void = () => undefined;

const mayRead: PolicyEntry = {
  policy: 'custom',
  resource: resourceIn('Group:billing'),
  actions: ['get'],
  sourceIps: [],
  decision: 'allow',
};

beforeEach(async () => {
  identities = new FakeIdentities();
  clock = new ManualClock();
  lines = [];
  const audit = (line: string): Promise<void> => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
    return Promise.resolve();
  };
  fixture = await startAdminFixture({ identities, clock, audit });
  const { nameService, directory } = fixture;
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('ann', 'ann-secret');
  identities.allow('ann', mayRead);
  await nameService.createTopic({ name: 'orders' });
  await nameService.createGroup({ name: 'billing' });
  letters = await nameService.ensureInnerTopic('%DLQ%billing');
  await directory.until(() => directory.topic('%DLQ%billing'), 60_000, 'the topic');
  withLetters(5);
});
afterEach(async () => {
  goOn();
  await fixture.stop();
});

function withLetters(count: number): void {
  const { inspect } = fixture.brokers;
  const all: FoundMessage[] = [];
  for (let position = 1; position <= count; position += 1) {
    const message = {
      ...{ topicId: letters.id, originTopicId: letters.id, queueId: 0 as never, offset: position as never },
      ...{ position: position as never, size: 9, storedMs: 1, messageId: `m${position}`, tag: '', messageGroup: '' },
      ...{ keys: [], type: 1, bodyBytes: 3, dueMs: 0, liteTopic: '', cause: 0, attempts: 0 },
    };
    all.push(message);
    inspect.contents.set(position, {
      ...{ message, properties: new Map(), body: Buffer.from(`body-${position}`), cut: false, bodyBytes: 6 },
      ...{ encoding: 'identity', bornHost: '', bornMs: 0, traceContext: '' },
    });
  }
  inspect.messages.set('broker-0', all);
  let asked = 0;
  const wait = new Promise<void>((resolve) => (goOn = resolve));
  // The first part of letters and two bodies come; then it waits.
  inspect.before = () => ((asked += 1) > 3 ? wait : Promise.resolve());
}

async function ask(method: string, path: string, headers: Record<string, string>, body?: object): Promise<Response> {
  return fetch(`${fixture.url}/api/v1${path}`, {
    method,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
}

async function bearer(user: string): Promise<Record<string, string>> {
  const answer = await ask('POST', '/login', {}, { user, secret: `${user}-secret` });
  return { authorization: `Bearer ${((await answer.json()) as { token: string }).token}` };
}

interface OpenExport {
  /** Lines that have come. */
  readonly got: unknown[];
  /** Resolves when so many have. */
  until(count: number): Promise<void>;
  /** Resolves when the answer has ended. */
  readonly end: Promise<void>;
  leave(): Promise<void>;
}

/** An export that has begun, and waits in the middle. */
async function begun(headers: Record<string, string>, path = '/dead-letters/billing/export'): Promise<OpenExport> {
  const got: unknown[] = [];
  let changed: () => void = () => undefined;
  const open = httpRequest(`${fixture.url}/api/v1${path}`, { headers });
  const end = new Promise<void>((resolve) => {
    open.once('close', resolve).on('error', () => resolve());
    open.once('response', (response) => {
      let rest = '';
      response.setEncoding('utf8').on('error', () => resolve());
      response.on('data', (piece: string) => {
        const all = (rest + piece).split('\n');
        rest = all.pop() ?? '';
        got.push(...all.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as unknown));
        changed();
      });
    });
  });
  open.end();
  const until = async (count: number): Promise<void> => {
    while (got.length < count) await new Promise<void>((resolve) => (changed = resolve));
  };
  await until(2);
  return { got, until, end, leave: () => leaves(open) };
}

/** The audit log's line on an export. */
async function exportLine(): Promise<Record<string, unknown>> {
  for (;;) {
    const found = lines.find(({ operation }) => operation === 'exportDeadLetters');
    if (found) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('an export ends at once', () => {
  const refused = { status: 200, decision: 'failed', given: 2 };
  it.each([
    [
      'when its user is disabled',
      () => void identities.user('ann', 'ann-secret', { enabled: false }),
      'ended with its',
    ],
    ['when its user is deleted', () => identities.delete('ann'), 'ended with its'],
    [
      'when its user gets another secret',
      () => identities.user('ann', 'other', { secretVersion: 2 }),
      'ended with its',
    ],
    ['when its user may no more', () => identities.allow('ann'), 'may not get on group "billing"'],
    ['when its token ends', () => clock.advance(12 * 3_600_000), 'the token has ended'],
  ])('%s', async (_, change, why) => {
    const open = await begun(await bearer('ann'));
    change();
    await open.end;
    expect(open.got).toHaveLength(3);
    expect(open.got[2]).toEqual({ problem: expect.stringContaining(why) as string });
    goOn();
    expect(await exportLine()).toMatchObject({
      ...refused,
      user: 'ann',
      reason: expect.stringContaining(why) as string,
    });
  });

  it('when its browser logs out', async () => {
    const answer = await ask('POST', '/session', {}, { user: 'ann', secret: 'ann-secret' });
    const cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const { csrfToken } = (await answer.json()) as { csrfToken: string };
    const open = await begun({ cookie });
    await ask('DELETE', '/session', { cookie, 'x-csrf-token': csrfToken });
    await open.end;
    expect(open.got[2]).toEqual({ problem: 'the token has ended; log in again' });
  });

  it('when the process stops, which waits for nobody', async () => {
    const open = await begun(await bearer('ann'));
    const stopped = fixture.server.stop();
    await open.end;
    expect(open.got[2]).toEqual({ problem: 'this process stops: ask again' });
    goOn();
    await stopped;
  });
});

it('a search ends with a problem when its user may no more', async () => {
  const all = await bearer('root');
  const answer = await ask('POST', '/users', all, { name: 'eve', secret: 'eve-secret' });
  expect(answer.status).toBe(201);
  const { nameService, brokers } = fixture;
  const orders = nameService.topics.get('orders');
  const found = brokers.inspect.messages.get('broker-0') ?? [];
  brokers.inspect.messages.set(
    'broker-0',
    found.map((message) => ({ ...message, topicId: orders?.id as never })),
  );
  brokers.inspect.partMax = 1;
  identities.allow('eve', { ...mayRead, resource: resourceIn('Topic:orders') });
  const open = await ask('GET', '/messages/search?topic=orders', await bearer('eve'));
  identities.allow('eve');
  const text = await open.text();
  expect(text).toMatch(/event: problem\ndata: .*"code":"FORBIDDEN"/);
  expect(text).not.toContain('event: end');
});

it('what was found meanwhile is not shown to who may not see it any more', async () => {
  const headers = await bearer('ann');
  fixture.brokers.inspect.before = async () => {
    identities.allow('ann');
  };
  for (const path of ['/dead-letters/billing', '/dead-letters/billing/counts']) {
    identities.allow('ann', mayRead);
    expect([path, (await ask('GET', path, headers)).status]).toEqual([path, 403]);
  }
});

describe('the audit log knows', () => {
  it('how many bodies were given, of one that came to its end', async () => {
    const open = await begun(await bearer('ann'));
    goOn();
    await open.end;
    expect(open.got).toHaveLength(5);
    expect(await exportLine()).toMatchObject({ user: 'ann', decision: 'done', given: 5, status: 200 });
  });

  it('of one whose reader left', async () => {
    const open = await begun(await bearer('ann'));
    await open.leave();
    goOn();
    expect(await exportLine()).toMatchObject({ decision: 'failed', given: 2, reason: 'the reader left' });
  });

  it('of one that a broker set broke off', async () => {
    const open = await begun(await bearer('ann'));
    fixture.brokers.states.delete('broker-0');
    goOn();
    await open.end;
    expect(await exportLine()).toMatchObject({ decision: 'failed', given: 3, reason: expect.any(String) as string });
  });

  it('of a look at one message', async () => {
    await (await ask('GET', '/messages/broker-0~1~9', await bearer('root'))).text();
    expect(lines.at(-1)).toMatchObject({ operation: 'describeMessage', decision: 'done', given: 1 });
  });

  it('of a change whose caller hung up before the answer', async () => {
    const headers = await bearer('root');
    const { nameService } = fixture;
    let create: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      const { createTopic } = nameService;
      nameService.createTopic = async (...draft) => {
        await new Promise<void>((next) => {
          create = next;
          resolve();
        });
        return createTopic.apply(nameService, draft);
      };
    });
    const open = httpRequest(`${fixture.url}/api/v1/topics`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
    });
    open.on('error', () => undefined).end(JSON.stringify({ name: 'made' }));
    await asked;
    await leaves(open);
    create();
    while (!lines.some(({ operation }) => operation === 'createTopic')) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(nameService.topics.has('made')).toBe(true);
    expect(lines.at(-1)).toMatchObject({ operation: 'createTopic', decision: 'done', user: 'root' });
  });
});
