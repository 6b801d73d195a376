import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import { onUnexpected, systemClock } from '@cometmq/shared';
import { silentLogger } from '@cometmq/telemetry';

import { AdminServer } from './admin-server.js';
import { startAdminFixture } from './testing/admin-fixture.js';

describe('the REST API’s server', () => {
  it('answers on its port, stops while somebody keeps a connection, and answers what was under way', async () => {
    const fixture = await startAdminFixture();
    expect(fixture.server.unready()).toBeUndefined();
    expect((await fetch(`${fixture.url}/api/v1/health`)).status).toBe(200); // Keeps its connection.
    expect((await fetch(`${fixture.url}/docs/`)).status).toBe(200);
    expect((await fetch(fixture.url, { redirect: 'manual' })).headers.get('location')).toBe('/docs');

    let release = (): void => undefined;
    const asked = new Promise<void>((told) => {
      fixture.brokers.describe = () =>
        new Promise((_resolve, reject) => {
          release = () => reject(new Error('too late'));
          told();
        });
    });
    const underWay = fetch(`${fixture.url}/api/v1/cluster`);
    await asked;
    const stopped = fixture.stop();
    expect(fixture.server.unready()).toBe('the REST API does not listen yet');
    release();
    expect(await (await underWay).json()).toMatchObject({ healthy: false });
    await stopped;
    await expect(fetch(`${fixture.url}/api/v1/health`)).rejects.toThrow();
  });

  it('is built at the next request where it could not be at the first', async () => {
    const fixture = await startAdminFixture();
    const { nameService, directory, brokers } = fixture;
    let reads = 0;
    const server = new AdminServer({
      ...{ nameService, directory, brokers, clock: systemClock, requestMsMax: 60_000, version: '0.1.0' },
      ...{ host: '127.0.0.1', port: 0, log: silentLogger },
      get hostNames() {
        reads += 1;
        if (reads === 1) throw new Error('a file can not be read now');
        return [];
      },
    });
    await server.start();
    const statusOf = async (): Promise<number> => (await fetch(`http://127.0.0.1:${server.port}/api/v1/health`)).status;
    expect(await statusOf()).toBe(500);
    expect(await statusOf()).toBe(200);
    await server.stop();
    await fixture.stop();
  });

  it('says nothing of callers that hang up in the middle of what they say', async () => {
    const failures: string[] = [];
    onUnexpected((cause) => failures.push(String(cause)));
    const fixture = await startAdminFixture({
      log: { ...silentLogger, error: (_facts, said) => void failures.push(said) },
    });
    const other = (): Promise<unknown> => fetch(`${fixture.url}/api/v1/health`).then((answer) => answer.text());
    await other();
    const { hostname, port } = new URL(fixture.url);
    const socket = connect(Number(port), hostname);
    const head = `POST /api/v1/topics HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\n`;
    socket.write(`${head}content-length: 100\r\nexpect: 100-continue\r\n\r\n{"name":`);
    await once(socket, 'data'); // It reads the body.
    await other(); // What came before it is under way.
    socket.destroy();
    await other();
    await fixture.stop();
    onUnexpected(undefined);
    expect(failures).toEqual([]);
  });

  it('says in one line that its port is taken', async () => {
    const fixture = await startAdminFixture();
    const { nameService, directory, brokers } = fixture;
    const rival = new AdminServer({
      ...{ nameService, directory, brokers, clock: systemClock, requestMsMax: 100, version: '0.1.0' },
      ...{ host: '127.0.0.1', port: fixture.server.port, hostNames: [], log: console },
    });
    await expect(rival.start()).rejects.toMatchObject({
      code: 'CONFIG',
      reason: expect.stringMatching(/^the REST API can't listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/),
    });
    expect(rival.unready()).toBeDefined();
    await rival.stop();
    await fixture.stop();
  });

  it('refuses heads that are too long', async () => {
    const fixture = await startAdminFixture();
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'x-long': 'a'.repeat(20_000) };
      get(`${fixture.url}/api/v1/health`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(status).toBe(431);
    await fixture.stop();
  });
});
