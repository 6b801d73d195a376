// Goal: what our programs ask of Kubernetes is asked as its API wants it. Method: a real TLS server that notes what comes.
import type { IncomingHttpHeaders } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

import { systemClock } from '@cometmq/shared';

import { certifiedBy, newAuthority } from '../tls/authority.js';
import { answersTooMuch, podKubernetesApi, type WatchingKubernetesApi } from './kubernetes-api.js';

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe('the API of Kubernetes', () => {
  const files = { token: 'first', namespace: 'mq\n', 'ca.crt': '' };
  const asked: Asked[] = [];
  let answer: { status: number; text: string };
  let server: Server;
  let api: WatchingKubernetesApi;

  beforeAll(async () => {
    const wallMs = systemClock.wallMs();
    const authority = await newAuthority('kubernetes', wallMs);
    const { certPem: cert, keyPem: key } = await certifiedBy(authority, { names: ['localhost'], wallMs });
    server = createServer({ cert, key }, (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        asked.push({ method: request.method, url: request.url, headers: request.headers, body });
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    files['ca.crt'] = authority.certPem;
    api = podKubernetesApi((name) => files[name], systemClock, {
      host: 'localhost',
      port: (server.address() as AddressInfo).port,
    });
  });
  beforeEach(() => {
    asked.length = 0;
    answer = { status: 200, text: '{"spec":{}}' };
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
  });

  it('is asked with the token that the pod has now', async () => {
    expect(api.namespace).toBe('mq');
    expect(await api.get('/a')).toEqual({ spec: {} });
    files.token = 'renewed';
    await api.patch('/b', { data: { floor: '2' } });
    expect(await api.patch('/b', { data: { floor: '3' } })).toEqual({ spec: {} });
    await api.create('/c', { kind: 'Event' });
    expect(asked.map(({ method, url, headers }) => [method, url, headers.authorization])).toEqual([
      ['GET', '/a', 'Bearer first'],
      ['PATCH', '/b', 'Bearer renewed'],
      ['PATCH', '/b', 'Bearer renewed'],
      ['POST', '/c', 'Bearer renewed'],
    ]);
    expect(asked[1]).toMatchObject({
      headers: { 'content-type': 'application/merge-patch+json' },
      body: '{"data":{"floor":"2"}}',
    });
  });

  it.each([
    [400, 'BAD_REQUEST'],
    [422, 'BAD_REQUEST'],
    [401, 'UNAUTHORIZED'],
    [403, 'FORBIDDEN'],
    [409, 'CONFLICT'],
    [500, 'UNAVAILABLE'],
  ])('that answers %i is an error with its reason', async (status, code) => {
    answer = { status, text: '{"kind":"Status","message":"because"}' };
    await expect(api.get('/a')).rejects.toMatchObject({ code, reason: expect.stringContaining('because') });
  });

  it('that does not know an object says so; what is no object is no answer', async () => {
    answer = { status: 404, text: '{}' };
    expect(await api.get('/a')).toBeUndefined();
    answer = { status: 200, text: '<html>' };
    await expect(api.get('/a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('is not taken where it answers more than is held in memory', async () => {
    answer = { status: 200, text: `"${'x'.repeat(9 * 1024 * 1024)}"` };
    await expect(api.get('/a')).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: answersTooMuch });
  });

  describe('that is watched', () => {
    const never = new AbortController().signal;
    const event = (type: string, n: number): string => JSON.stringify({ type, object: { n } });

    it('tells events until it ends', async () => {
      answer = { status: 200, text: `${event('ADDED', 1)}\n${event('BOOKMARK', 2)}\n\n${event('DELETED', 3)}\n` };
      const told: unknown[] = [];
      expect(await api.watch('/a?watch=1', ({ type, object }) => told.push([type, object['n']]), never)).toBe('ended');
      expect(told).toEqual([
        ['ADDED', 1],
        ['BOOKMARK', 2],
        ['DELETED', 3],
      ]);
      expect(asked[0]?.url).toBe('/a?watch=1');
    });

    it.each([
      ['a status', { status: 410, text: '{}' }],
      ['an event', { status: 200, text: '{"type":"ERROR","object":{"code":410,"message":"too old"}}\n' }],
    ])('says by %s that the version is forgotten', async (_how, said) => {
      answer = said;
      expect(await api.watch('/a', () => undefined, never)).toBe('expired');
    });

    it.each([
      [
        'another error',
        { status: 200, text: '{"type":"ERROR","object":{"code":500,"message":"because"}}\n' },
        'because',
      ],
      ['what is no event', { status: 200, text: '<html>\n' }, 'no reason'],
      ['a refusal', { status: 403, text: '{"message":"not you"}' }, 'not you'],
    ])('fails by %s', async (_what, said, why) => {
      answer = said;
      await expect(api.watch('/a', () => undefined, never)).rejects.toMatchObject({
        reason: expect.stringContaining(why),
      });
    });

    it('is asked nothing more once nobody wants to know', async () => {
      const stopping = new AbortController();
      answer = { status: 200, text: `${event('ADDED', 1)}\n${event('ADDED', 2)}\n` };
      const told: unknown[] = [];
      const watched = api.watch(
        '/a',
        ({ object }) => {
          told.push(object['n']);
          stopping.abort();
        },
        stopping.signal,
      );
      expect(await watched).toBe('ended');
      expect(told).toEqual([1]);
      expect(await api.watch('/a', () => undefined, stopping.signal)).toBe('ended');
    });
  });
});
