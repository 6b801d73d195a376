// Goal: what our programs ask of Kubernetes is asked as its API wants it. Method: a real TLS server that notes what comes.
import type { IncomingHttpHeaders } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

import { systemClock } from '@cometmq/shared';

import { certifiedBy, newAuthority } from '../tls/authority.js';
import { podKubernetesApi, type KubernetesApi } from './kubernetes-api.js';

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
  let api: KubernetesApi;

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
    await api.create('/c', { kind: 'Event' });
    expect(asked.map(({ method, url, headers }) => [method, url, headers.authorization])).toEqual([
      ['GET', '/a', 'Bearer first'],
      ['PATCH', '/b', 'Bearer renewed'],
      ['POST', '/c', 'Bearer renewed'],
    ]);
    expect(asked[1]).toMatchObject({
      headers: { 'content-type': 'application/merge-patch+json' },
      body: '{"data":{"floor":"2"}}',
    });
  });

  it.each([
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
});
