// Goal: a real Prometheus answers what the boards ask, and its rules fire for what is wrong. Method: Debian's Prometheus
// looks at a real system in which more messages wait than the rules are told to allow. Skipped where there is no Prometheus.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { find } from '../../tools/debian/ensure.mjs';
import { ensureHelm, fromHere } from '../../tools/helm/ensure.mjs';
import { boards } from '../../tools/metrics/boards.ts';
import { admin, createTopic } from '../support/admin.js';
import { freePort } from '../support/free-port.js';
import { publicClient } from '../support/public-client.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const prometheus = find('prometheus');
const folder = mkdtempSync(join(tmpdir(), 'cometmq-prometheus-'));
const broker = new Standalone();
let url = '';
let child: ChildProcess | undefined;

interface Answer<T> {
  readonly status: string;
  readonly error?: string;
  readonly data: T;
}

async function ask<T>(path: string): Promise<Answer<T>> {
  return (await (await fetch(`${url}/api/v1/${path}`)).json()) as Answer<T>;
}

/** Those of the chart, for this cluster; what holds fires at the next look. */
function rules(): unknown {
  const { helm } = ensureHelm(() => undefined);
  const chart = join(__dirname, '../../charts/cometmq');
  const set = 'prometheusRule.enabled=true,prometheusRule.lagMax=2,clusterName=DefaultCluster';
  const args = ['template', 'mq', chart, '--set', set, '--show-only', 'templates/prometheusrule.yaml'];
  const { stdout } = spawnSync(helm, args, { encoding: 'utf8' });
  const { parse } = fromHere('yaml') as { parse: (text: string) => { spec: unknown } };
  return parse(stdout.replaceAll('for: 1m', 'for: 0s')).spec;
}

beforeAll(async () => {
  if (prometheus === undefined) return;
  await broker.start();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(folder, 'rules.json')],
    scrape_configs: [{ job_name: 'cometmq', static_configs: [{ targets: [`127.0.0.1:${broker.metricsPort}`] }] }],
  };
  writeFileSync(join(folder, 'rules.json'), JSON.stringify(rules())); // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.json'), JSON.stringify(config));
  child = spawn(
    prometheus,
    [
      `--config.file=${join(folder, 'prometheus.json')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
}, 120_000);
afterAll(async () => {
  if (child?.exitCode === null) {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  }
  if (prometheus !== undefined) await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** What this system has none of, or what is not done to it; and what is sampled every two minutes. */
const empty = new Set([
  ...['Followers behind', 'Followers behind, in time', 'Phases of the last take-over', 'Calls that failed'],
  ...['Delayed messages that wait', 'Delayed messages, taken and delivered', 'Dead letters', 'Living producers'],
  ...['Open transactions', 'Transactions that ended', 'Time to commit a transaction (p99)'],
  ...['Age of the oldest message that is not done', 'Age of the oldest message that was not delivered'],
]);

(prometheus === undefined ? it.skip : it)(
  'answers every board, and its rules fire',
  async () => {
    await createTopic(broker, { name: 'orders', type: 'normal' });
    await admin(broker, 'POST', '/groups', { name: 'billing' });
    const client = publicClient(broker);
    const call = { group: 'billing', topic: 'orders', messagesMax: 1, waitMs: 5_000, invisibleMs: 600_000 };
    for (let i = 0; i < 3; i += 1) await client.send([{ topic: 'orders', body: Buffer.from('one') }]);
    expect(await client.receive(call)).toHaveLength(1);
    const firing = async (): Promise<string[]> => {
      const { data } = await ask<{ alerts: { state: string; labels: { alertname: string } }[] }>('alerts');
      return data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname);
    };
    await until(
      'Prometheus fires',
      async () => (await firing().catch((): string[] => [])).includes('CometMQConsumerLag'),
      60_000,
    );
    expect((await firing()).filter((alert) => alert !== 'CometMQConsumerLag')).toEqual([]);

    const queries = boards.flatMap(({ panels }) =>
      panels.flatMap(({ title, queries: all }) => all.map((query) => ({ title, ...query }))),
    );
    const unanswered = async (): Promise<string[]> => {
      const seen = queries.map(async ({ title, expr }) => {
        const chosen = expr.replaceAll('$__rate_interval', '1m').replaceAll('$cluster', 'DefaultCluster');
        const query = encodeURIComponent(chosen.replace(/\$\w+/g, '.*'));
        const { status, error, data } = await ask<{ result: unknown[] }>(`query?query=${query}`);
        expect({ title, status, error }).toEqual({ title, status: 'success', error: undefined });
        return data.result.length > 0 ? [] : [title];
      });
      return (await Promise.all(seen)).flat().filter((title) => !empty.has(title));
    };
    let left: string[] = [];
    await until(
      () => `panels without an answer: ${left.join(', ')}`,
      async () => (left = await unanswered()).length === 0,
      60_000,
    );
    client.close();
  },
  180_000,
);
