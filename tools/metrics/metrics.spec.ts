// Goal: boards and alert rules ask for what is published, and no name of RocketMQ's is missing without a word. Method:
// every expression is held against the list of metrics, whose labels the test of the whole system (e2e/metrics) compares
// with what is published; and against promtool, where there is one.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { adminSettings, alertRules } from '@cometmq/admin';
import { commonLabels, metrics, type MetricDescription } from '@cometmq/telemetry';

import { find } from '../debian/ensure.mjs';
import { ensureHelm, fromHere } from '../helm/ensure.mjs';
import { boards } from './boards.ts';
import { askedBy } from './promql.ts';
import { publishedNames, unpublishedNames } from './rocketmq-names.ts';

const chart = join(__dirname, '../../charts/cometmq');
const published: Readonly<Record<string, MetricDescription>> = metrics;
/** What Prometheus itself puts on each series. */
const ofTargets: readonly string[] = ['instance'];
const eachOf = (names: string): string[] => names.split(' ').map((name) => `rocketmq_${name}`);
const theirs = publishedNames.flatMap((row) => eachOf(row.names).map((name) => [name, row] as const));
const without = unpublishedNames.flatMap(({ names }) => eachOf(names));
const names = [...theirs.map(([name]) => name), ...without];

interface Recorded {
  readonly record: string;
  readonly expr: string;
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly rule: string };
  readonly annotations: Readonly<Record<string, string>>;
}
interface Thing {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly groups: readonly { readonly rules: readonly (Rule | Recorded)[] }[] };
}

/** The kinds of series that a name of an expression may stand for. */
function labelsOf(series: string): readonly string[] | undefined {
  const plain = published[series];
  if (plain && plain.kind !== 'histogram') return [...commonLabels, ...(plain.labels ?? [])];
  const [, name = '', part] = /^(\w+)_(bucket|sum|count)$/.exec(series) ?? [];
  const histogram = published[name];
  if (histogram?.kind !== 'histogram') return undefined;
  return [...commonLabels, ...(histogram.labels ?? []), ...(part === 'bucket' ? ['le'] : [])];
}

/** What is wrong with an expression and with what is shown of its result. */
function faultsOf(expr: string, shown = ''): string[] {
  const { selectors, by, unknown, made } = askedBy(expr);
  const faults = unknown.map((word) => `unknown: ${word}`);
  const all = [...commonLabels, ...ofTargets, ...made, ...selectors.flatMap(({ name }) => labelsOf(name) ?? [])];
  for (const { name, labels } of selectors) {
    const has = labelsOf(name);
    if (!has) faults.push(`not published: ${name}`);
    else
      faults.push(
        ...labels.filter((label) => !has.includes(label)).map((label) => `${name} has no ${label}`),
        ...by.filter((label) => !all.includes(label)).map((label) => `${name} has no ${label}`),
      );
  }
  if (selectors.length === 0) faults.push('asks for nothing');
  const keeps = by.length > 0 ? by : selectors.flatMap(({ name }) => labelsOf(name) ?? []);
  const said = [...shown.matchAll(/\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}/g)].map(([, label = '']) => label);
  return [
    ...faults,
    ...said.filter((label) => !keeps.includes(label)).map((label) => `shows ${label}, which is not kept`),
  ];
}

function rendered(...set: readonly string[]): Thing[] {
  const { helm } = ensureHelm(() => undefined);
  const args = ['template', 'rel', chart, ...set.flatMap((each) => ['--set', each])];
  const { status, stdout, stderr } = spawnSync(helm, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { parseAllDocuments } = fromHere('yaml') as {
    parseAllDocuments: (text: string) => { toJSON(): Thing | null }[];
  };
  return parseAllDocuments(stdout).flatMap((document) => document.toJSON() ?? []);
}

it('notices what is not published, with labels it does not have, or is shown without being kept', () => {
  expect(faultsOf('sum(rocketmq_lag{cluster="a"})')).toEqual(['not published: rocketmq_lag']);
  expect(faultsOf('up{cluster="a"} == 0 or rocketmq_proxy_up')).toEqual([
    'unknown: rocketmq_proxy_up',
    'not published: up',
  ]);
  expect(faultsOf('rocketmq_message_size{topic="t"}')).toEqual(['not published: rocketmq_message_size']);
  expect(faultsOf('sum by (topic) (rocketmq_proxy_up{cluster="a"})', '{{topic}}')).toEqual([
    'rocketmq_proxy_up has no topic',
  ]);
  expect(faultsOf('sum by (topic) (rocketmq_half_messages{topic="t"})', '{{ $labels.node_id }}')).toEqual([
    'shows node_id, which is not kept',
  ]);
  expect(faultsOf('sum by (le) (rate(rocketmq_message_size_bucket{topic=~"t|u"}[5m]))')).toEqual([]);
});

describe('RocketMQ’s names', () => {
  it.each(theirs)('%s is published as RocketMQ has it', (name, { kind, unit = '', labels = '', buckets }) => {
    const { help: _, labels: ours = [], ...rest } = published[name] ?? { help: 'not published' };
    expect({ ...rest, labels: [...ours].sort() }).toEqual({
      ...{ kind, unit, labels: labels.split(' ').filter(Boolean).sort() },
      ...(buckets && { buckets }),
    });
  });

  it('are published, or it is said why not', () => {
    expect(without.filter((name) => name in published)).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(80);
  });

  it('stand in the documents, with what is made of the tables', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(__dirname, 'files.ts'), '--check'], {
      encoding: 'utf8',
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const page = readFileSync(join(__dirname, '../../docs/metrics.md'), 'utf8');
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

describe.each(boards.map((board) => [board.title, board] as const))('%s', (_, board) => {
  const queries = board.panels.flatMap(({ title, queries: all }) => all.map((query) => ({ title, ...query })));

  it('asks for what is published', () => {
    const faults = queries.map(({ title, expr, legend }) => [title, faultsOf(expr, legend)] as const);
    expect(faults.filter(([, found]) => found.length > 0)).toEqual([]);
    const choices = Object.entries(board.choices).filter(([label, metric]) => !labelsOf(metric)?.includes(label));
    expect(choices).toEqual([]);
  });

  it('asks for rates of counters, and never of gauges', () => {
    const wrong = queries.filter(({ expr }) =>
      askedBy(expr).selectors.some(({ name }) => {
        const isCounter = published[name]?.kind !== 'gauge';
        return new RegExp(`(rate|increase)\\(${name}\\{`).test(expr) !== isCounter;
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the chart', () => {
  let things: Thing[];
  let rules: readonly Rule[];
  let recorded: readonly Recorded[];
  beforeAll(() => {
    things = rendered(
      'prometheusRule.enabled=true',
      'grafana.dashboards.enabled=true',
      'prometheusRule.lagMax=5000000',
      'prometheusRule.exporterNames=true',
    );
    const all = things.filter(({ kind }) => kind === 'PrometheusRule').flatMap(({ spec }) => spec?.groups ?? []);
    rules = all.flatMap((group) => group.rules).filter((rule) => 'alert' in rule);
    recorded = all.flatMap((group) => group.rules).filter((rule) => 'record' in rule);
  });

  it('has the boards as Grafana’s sidecar looks for them', () => {
    const maps = things.filter(({ metadata }) => metadata.labels['grafana_dashboard'] === '1');
    const files = maps.flatMap(({ data = {} }) => Object.keys(data));
    expect(files.sort()).toEqual(boards.map(({ uid }) => `${uid}.json`).sort());
    expect(readdirSync(join(chart, 'files/dashboards')).sort()).toEqual(files);
    for (const { data = {} } of maps) {
      for (const [file, text] of Object.entries(data)) {
        const shown = JSON.parse(text) as {
          uid: string;
          panels: { gridPos: { x: number; y: number; w: number; h: number } }[];
        };
        expect(`${shown.uid}.json`).toBe(file);
        const cells = shown.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
          Array.from({ length: w * h }, (_, i) => `${x + (i % w)}/${y + Math.floor(i / w)}`),
        );
        expect(new Set(cells).size).toBe(cells.length); // No panel lies on another one.
        expect(Math.max(...cells.map((cell) => Number(cell.split('/')[0])))).toBeLessThan(24);
      }
    }
  });

  it('has neither boards nor rules unless they are asked for', () => {
    const kinds = rendered().map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(kinds.filter((each) => /PrometheusRule|dashboard-(overview|topics)/.test(each))).toEqual([]);
  });

  // That a leader is silent Prometheus sees by nobody leading; until when a certificate holds is no metric.
  it('has a rule for each alert of the dashboard API that a metric tells', () => {
    const missing = alertRules.filter((rule) => !rules.some(({ labels }) => labels.rule === rule));
    expect(missing).toEqual(['brokerSilent', 'certificate']);
    // What was earlier, and what takes a while, Prometheus alone judges.
    const more = rules.map(({ labels }) => labels.rule).filter((each) => !alertRules.some((rule) => rule === each));
    expect(more).toEqual([
      ...['backup', 'twoLeaders', 'fewCopies', 'memberFenced', 'replicationBehind', 'diskFullTomorrow'],
      ...['consumerLagTime', 'consumerLagGrows', 'timersBehind', 'slowDisk', 'eventLoopLags', 'etcdSlow'],
      ...['damagedLog', 'logCut'],
    ]);
    const page = readFileSync(join(__dirname, '../../docs/operations.md'), 'utf8');
    expect(rules.filter(({ alert }) => !page.includes(`\`${alert}\``))).toEqual([]);
  });

  it('has rules that ask for what is published, of this cluster, by the limits given', () => {
    const faults = rules.map(({ alert, expr, annotations }) => [
      alert,
      faultsOf(expr, Object.values(annotations).join()),
    ]);
    expect(faults.filter(([, found]) => found?.length !== 0)).toEqual([]);
    for (const { expr } of [...rules, ...recorded]) {
      expect(expr.split('{cluster="rel-cometmq"')).toHaveLength(askedBy(expr).selectors.length + 1);
      expect(expr).not.toContain('$');
    }
    expect(rules.find(({ labels }) => labels.rule === 'consumerLag')?.expr).toMatch(/ > 5000000$/);
  });

  it('gives the names of the older exporter when they are asked for, with its labels', () => {
    expect(recorded.map(({ record, expr }) => [record, faultsOf(expr)])).toEqual(
      recorded.map(({ record }) => [record, []]),
    );
    expect(recorded.filter(({ expr }) => !askedBy(expr).made.includes('broker'))).toEqual([]);
    const ofGroups = recorded.filter(({ record }) => /consumer|group|accumulation/.test(record));
    expect(ofGroups.filter(({ expr }) => !askedBy(expr).made.includes('group'))).toEqual([]);
    const theirNames = [
      ...['broker_tps', 'broker_qps', 'producer_tps', 'producer_message_size', 'producer_offset', 'consumer_tps'],
      ...['consumer_message_size', 'consumer_offset', 'message_accumulation', 'group_get_latency_by_storetime'],
    ];
    expect(recorded.map(({ record }) => record).sort()).toEqual(theirNames.map((name) => `rocketmq_${name}`).sort());
    expect(recorded.filter(({ record }) => record in published)).toEqual([]);
    const usual = rendered('prometheusRule.enabled=true').filter(({ kind }) => kind === 'PrometheusRule');
    expect(usual).toHaveLength(1);
  });

  it('has the limits of the dashboard API, where none are given', () => {
    const { parse } = fromHere('yaml') as { parse: (text: string) => { prometheusRule: Record<string, unknown> } };
    const { prometheusRule } = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
    expect(prometheusRule['lagMax']).toBe(adminSettings.alertLagMax.default);
    expect(prometheusRule['diskFreePercentMin']).toBe(adminSettings.alertDiskFreePercentMin.default);
  });

  const promtool = find('promtool');
  (promtool === undefined ? it.skip : it)('has rules and boards that promtool takes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cometmq-rules-'));
    try {
      const concrete = (expr: string): string => expr.replaceAll('$__rate_interval', '5m').replace(/\$\w+/g, 'x');
      const asRules = boards
        .flatMap(({ panels }) => panels.flatMap(({ queries }) => queries))
        .map(({ expr }, i) => ({ record: `board:${i}`, expr: concrete(expr) }));
      const file = join(folder, 'rules.json'); // JSON is YAML.
      writeFileSync(
        file,
        JSON.stringify({
          groups: [
            { name: 'alerts', rules },
            { name: 'recorded', rules: recorded },
            { name: 'boards', rules: asRules },
          ],
        }),
      );
      const { status, stdout, stderr } = spawnSync(promtool ?? '', ['check', 'rules', file], { encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain(`SUCCESS: ${rules.length + recorded.length + asRules.length} rules found`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
