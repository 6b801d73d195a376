// Goal: a real Prometheus answers what the boards ask, and its rules fire for what is wrong. Method: Debian's Prometheus
// looks at a real system in which more messages wait than the rules are told to allow, and at one whose processes are apart,
// with a broker set of two members. Every expression must find a series in one of them. Skipped where there is no Prometheus.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { find } from '../../tools/debian/ensure.mjs';
import { ensureHelm, fromHere } from '../../tools/helm/ensure.mjs';
import { boards } from '../../tools/metrics/boards.ts';
import { admin, createTopic } from '../support/admin.js';
import { freshCluster } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';
import { publicClient } from '../support/public-client.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const prometheus = find('prometheus');
const folder = mkdtempSync(join(tmpdir(), 'cometmq-prometheus-'));
const broker = new Standalone();
let url = '';
let child: ChildProcess | undefined;
let apart: Awaited<ReturnType<typeof freshCluster>> | undefined;
/** What both are called. */
const clusters = ['DefaultCluster', 'apart'];

interface Answer<T> {
  readonly status: string;
  readonly error?: string;
  readonly data: T;
}

async function ask<T>(path: string): Promise<Answer<T>> {
  return (await (await fetch(`${url}/api/v1/${path}`)).json()) as Answer<T>;
}

type Rules = { readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[] };

/** Those of the chart, for this cluster; what holds for a minute fires at the next look. */
function rules(): readonly Rules[] {
  const { helm } = ensureHelm(() => undefined);
  const chart = join(__dirname, '../../charts/cometmq');
  const set =
    'prometheusRule.enabled=true,prometheusRule.lagMax=2,prometheusRule.exporterNames=true,clusterName=DefaultCluster';
  const args = ['template', 'mq', chart, '--set', set, '--show-only', 'templates/prometheusrule.yaml'];
  const { stdout } = spawnSync(helm, args, { encoding: 'utf8' });
  const { parseAllDocuments } = fromHere('yaml') as {
    parseAllDocuments: (text: string) => { toJSON(): { spec: Rules } }[];
  };
  return parseAllDocuments(stdout.replaceAll('for: 1m', 'for: 0s')).map((document) => document.toJSON().spec);
}

beforeAll(async () => {
  if (prometheus === undefined) return;
  await broker.start();
  const flags = ['--cluster-name=apart'];
  apart = await freshCluster({
    size: { replicas: 2, etcds: 1, namesrvs: 1, proxies: 1 },
    flags: { namesrv: flags, broker: flags, proxy: flags, 'dashboard-api': flags },
  });
  const targets = [...apart.namesrvs, ...apart.brokers, ...apart.proxies].map(({ watchUrl }) => new URL(watchUrl).host);
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(folder, 'rules-*.json')],
    scrape_configs: [
      { job_name: 'cometmq', static_configs: [{ targets: [`127.0.0.1:${broker.metricsPort}`, ...targets] }] },
    ],
  };
  rules().forEach((each, i) => writeFileSync(join(folder, `rules-${i}.json`), JSON.stringify(each))); // JSON is YAML.
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
}, 240_000);
afterAll(async () => {
  if (child?.exitCode === null) {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  }
  await apart?.end();
  if (prometheus !== undefined) await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** What these systems have none of, or what is not done to them; and what is sampled every two minutes. */
const empty = new Set([
  ...['Calls that failed', 'Not let in'],
  ...['Delayed messages that wait', 'Delayed messages, taken and delivered', 'Dead letters', 'Living producers'],
  ...['Open transactions', 'Transactions that ended', 'Time to commit a transaction (p99)'],
  ...['Age of the oldest message that is not done', 'Age of the oldest message that was not delivered'],
]);
const emptySelectors = new Set([
  ...['rocketmq_consumer_lag_latency', 'rocketmq_send_to_dlq_messages_total', 'rocketmq_backup_age'],
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
    /** Whether one of the systems has what is asked for. */
    const finds = async (what: string, asked: (cluster: string) => string): Promise<boolean> => {
      const found = clusters.map(async (cluster) => {
        const { status, error, data } = await ask<{ result: unknown[] }>(
          `query?query=${encodeURIComponent(asked(cluster))}`,
        );
        expect({ what, status, error }).toEqual({ what, status: 'success', error: undefined });
        return data.result.length > 0;
      });
      return (await Promise.all(found)).includes(true);
    };
    const unanswered = async (): Promise<string[]> => {
      const seen = queries.map(async ({ title, expr }) => {
        const chosen = expr.replaceAll('$__rate_interval', '1m');
        const found = await finds(title, (cluster) => chosen.replaceAll('$cluster', cluster).replace(/\$\w+/g, '.*'));
        return found || empty.has(title) ? [] : [title];
      });
      return (await Promise.all(seen)).flat();
    };
    /** A rule finds nothing while all is well: what it is made of must be there. */
    const unfed = async (): Promise<string[]> => {
      const exprs = rules().flatMap(({ groups }) => groups.flatMap((group) => group.rules.map(({ expr }) => expr)));
      for (const expr of exprs) await finds(expr, (cluster) => expr.replaceAll('DefaultCluster', cluster));
      const selectors = new Set(exprs.flatMap((expr) => expr.match(/\w+\{[^}]*\}/g) ?? []));
      const seen = [...selectors].map(async (selector) => {
        const found = await finds(selector, (cluster) => selector.replace('DefaultCluster', cluster));
        return found || emptySelectors.has(selector.split('{')[0] ?? '') ? [] : [selector];
      });
      return (await Promise.all(seen)).flat();
    };
    let left: string[] = [];
    await until(
      () => `without a series: ${left.join(', ')}`,
      async () => (left = [...(await unanswered()), ...(await unfed())]).length === 0,
      60_000,
    );
    client.close();
  },
  180_000,
);
