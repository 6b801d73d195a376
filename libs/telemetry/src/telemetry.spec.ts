import { systemClock } from '@cometmq/shared';

import { Buckets, type Sample } from './metric-source.js';
import { metrics } from './metric-names.js';
import { Telemetry } from './telemetry.js';

describe('telemetry', () => {
  let telemetry: Telemetry;
  let ready: string | undefined;
  let degraded: string | undefined;
  const samples: Sample[] = [];

  beforeAll(async () => {
    telemetry = new Telemetry({
      service: 'test',
      version: '1',
      labels: { cluster: 'c1', node_type: 'broker', node_id: 'b0' },
      host: '127.0.0.1',
      port: 0,
      otlpEndpoint: '',
      clock: systemClock,
    });
    telemetry.addSource(() => samples);
    telemetry.addReadiness(() => ready);
    telemetry.addDegradation(() => degraded);
    await telemetry.start();
  });
  afterAll(() => telemetry.stop());

  const get = (path: string) => fetch(`http://127.0.0.1:${telemetry.port}${path}`);

  it('publishes plain counters under their names with their labels', async () => {
    samples.push({ metric: 'rocketmq_messages_in_total', labels: { topic: 't', message_type: 'normal' }, value: 42 });
    const page = await (await get('/metrics')).text();
    expect(page).toContain(
      'rocketmq_messages_in_total{cluster="c1",node_type="broker",node_id="b0",topic="t",message_type="normal"} 42',
    );
    expect(page).toContain('# TYPE rocketmq_messages_in_total counter');
  });

  it('publishes histograms with cumulative buckets', async () => {
    const buckets = new Buckets(metrics.rocketmq_rpc_latency.buckets);
    for (const value of [0.5, 2, 2, 5000]) buckets.record(value);
    samples.push({ metric: 'rocketmq_rpc_latency', labels: { request_code: 'send' }, value: buckets });
    const page = await (await get('/metrics')).text();
    expect(page).toMatch(/rocketmq_rpc_latency_bucket\{[^}]*request_code="send"[^}]*le="1"\} 1/);
    expect(page).toMatch(/rocketmq_rpc_latency_bucket\{[^}]*le="3"\} 3/);
    expect(page).toMatch(/rocketmq_rpc_latency_bucket\{[^}]*le="\+Inf"\} 4/);
    expect(page).toMatch(/rocketmq_rpc_latency_sum\{[^}]*\} 5004.5/);
  });

  it('opens nothing but what may be read by everybody', async () => {
    for (const path of ['/', '/metrics/x', '/api/v1/users', '/debug/pprof', '/..%2f..%2fetc/passwd', '//metrics']) {
      expect({ path, status: (await get(path)).status }).toEqual({ path, status: 404 });
    }
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      for (const path of ['/metrics', '/healthz', '/readyz', '/']) {
        const { status } = await fetch(`http://127.0.0.1:${telemetry.port}${path}`, { method });
        expect({ method, path, status }).toEqual({ method, path, status: 405 });
      }
    }
    expect((await fetch(`http://127.0.0.1:${telemetry.port}/healthz`, { method: 'HEAD' })).status).toBe(200);
  });

  it('says whether the process may serve, and why not', async () => {
    ready = 'no leader yet';
    const not = await get('/readyz');
    expect([not.status, await not.text()]).toEqual([503, 'no leader yet\n']);
    ready = undefined;
    expect((await get('/readyz')).status).toBe(200);
    degraded = 'the disk is full';
    const half = await get('/readyz');
    expect([half.status, await half.text()]).toEqual([200, 'degraded: the disk is full\n']);
    expect((await get('/healthz')).status).toBe(200);
    expect((await get('/elsewhere')).status).toBe(404);
  });
});
