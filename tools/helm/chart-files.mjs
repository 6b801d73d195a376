/**
 * What is made from the chart: the schema of its values, the table of them in its README, the chart of the custom
 * resource definitions, and the plain manifests in k8s/.
 *
 *   node tools/helm/chart-files.mjs            writes them
 *   node tools/helm/chart-files.mjs --check    says which are not what would be written; 1 if any
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { format, resolveConfig } from 'prettier';
import { external } from '../build/build.mjs';
import { ensureHelm, fromHere } from './ensure.mjs';
import { schema } from './schema.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const chart = 'charts/cometmq';
const crds = 'charts/cometmq-crds';

/** Rows of the table: a value's path, its default, what the comment above it says. */
export function valueRows(text) {
  const { parseDocument, isMap, isScalar } = fromHere('yaml');
  const rows = [];
  const walk = (map, path, above) => {
    for (const { key, value } of map.items) {
      const said = [value?.commentBefore, key.commentBefore].find((each) => each !== undefined) ?? '';
      // A comment that is set off by an empty line is about what follows it, not about the first value alone.
      const about = sentence(said.split(/\n\s*\n/).at(-1) ?? '');
      const name = [...path, key.value].join('.');
      if (isMap(value) && value.items.length > 0 && !value.flow) walk(value, [...path, key.value], about);
      else {
        const shown = isScalar(value) ? JSON.stringify(value.value) : JSON.stringify(value.toJSON());
        rows.push({ name, shown, about: about || (map.items[0].key === key ? above : '') });
      }
    }
  };
  const document = parseDocument(text);
  walk(document.contents, [], '');
  return rows;
}

function sentence(comment) {
  return comment
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
    .replaceAll('|', '\\|')
    .trim();
}

function readme() {
  const rows = valueRows(readFileSync(join(root, chart, 'values.yaml'), 'utf8'));
  const table = rows.map(({ name, shown, about }) => `| \`${name}\` | \`${shown}\` | ${about} |`);
  return `# The CometMQ chart

A distributed message broker for every official RocketMQ client: name servers, proxies and the dashboard API as
Deployments, a StatefulSet with volumes for each place in the broker sets, and etcd.

\`\`\`sh
helm install mq charts/cometmq --namespace mq --create-namespace --wait
helm test mq --namespace mq
\`\`\`

How to run it: [docs/kubernetes.md](../../docs/kubernetes.md).

## Values

Made from [values.yaml](values.yaml); [values.schema.json](values.schema.json) refuses what is not here.

| value | default | what it is |
| ----- | ------- | ---------- |
${table.join('\n')}
`;
}

/** The custom resource definitions, each in a template of its own: so `helm upgrade` changes them, too. */
async function definitions() {
  const folder = mkdtempSync(join(root, 'node_modules/.crds-'));
  try {
    const outfile = join(folder, 'crds.cjs');
    await build({
      stdin: { contents: `export * from './libs/admin/src/controller/crds.ts';`, resolveDir: root, loader: 'ts' },
      ...{ absWorkingDir: root, outfile, bundle: true, platform: 'node', format: 'cjs', external },
      ...{ tsconfig: 'tsconfig.base.json', logLevel: 'silent' },
    });
    return createRequire(import.meta.url)(outfile).customResourceDefinitions();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Deleted with the chart, they would take all topics along. */
function definitionTemplate(definition) {
  const { stringify } = fromHere('yaml');
  const text = stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false });
  // What stands in a message is no template.
  const escaped = text.replaceAll('{{', "{{ '{{' }}");
  const [head, ...rest] = escaped.split('\nmetadata:\n');
  const metadata = `  {{- with .Values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  labels:
    app.kubernetes.io/name: cometmq-crds
    app.kubernetes.io/part-of: cometmq
    app.kubernetes.io/managed-by: {{ .Release.Service }}
    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
`;
  return `# Made from the schemas of the REST API: node tools/helm/chart-files.mjs\n${head}\nmetadata:\n${metadata}${rest.join('\nmetadata:\n')}`;
}

/** The chart rendered for one preset, for those who have no Helm. */
function manifests(helm, preset) {
  const values = `preset=${preset},users.existingSecret=cometmq-users,internalTls.enabled=false`;
  const args = ['template', 'cometmq', chart, '--namespace', 'cometmq', '--set', values, '--skip-tests'];
  const head = `# Rendered from ${chart} with preset=${preset}: node tools/helm/chart-files.mjs
#
# Without Helm nobody makes certificates between the programs; the network policies keep others out.
#
#   kubectl create namespace cometmq
#   kubectl --namespace cometmq create secret generic cometmq-users --from-literal=admin="admin $(openssl rand -hex 20)" \\
#     --from-literal=keys="k1 $(openssl rand -base64 32)"
#   kubectl --namespace cometmq apply --filename k8s/${preset}.yaml
`;
  return rendered(helm, args, head);
}

function rendered(helm, args, head) {
  const { status, stdout, stderr } = spawnSync(helm, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`helm template: ${stderr}`);
  return head + stdout.replace(/^ *helm\.sh\/chart: .*\n/gm, '').replaceAll('managed-by: Helm', 'managed-by: kubectl');
}

async function main() {
  const { helm } = ensureHelm();
  // In this order: what is rendered is checked against the schema.
  const made = {
    [`${chart}/values.schema.json`]: () => JSON.stringify(schema),
    [`${chart}/README.md`]: readme,
    ...Object.fromEntries(
      (await definitions()).map((definition) => [
        `${crds}/templates/${definition.spec.names.plural}.yaml`,
        () => definitionTemplate(definition),
      ]),
    ),
    'k8s/crds.yaml': () => rendered(helm, ['template', 'cometmq-crds', crds], '# For those who have no Helm.\n'),
    ...Object.fromEntries(
      ['small', 'medium', 'large'].map((preset) => [`k8s/${preset}.yaml`, () => manifests(helm, preset)]),
    ),
  };
  let stale = 0;
  for (const [name, make] of Object.entries(made)) {
    const text = make();
    const file = join(root, name);
    // A template is no YAML.
    const isTemplate = name.includes('/templates/');
    const whole = isTemplate ? text : await format(text, { ...(await resolveConfig(file)), filepath: file });
    if (!process.argv.includes('--check')) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, whole);
    } else if (contentOf(file) !== whole) {
      console.error(`${name} is not what the chart makes: node tools/helm/chart-files.mjs`);
      stale += 1;
    }
  }
  process.exitCode = stale > 0 ? 1 : 0;
}

function contentOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
