/**
 * docs/configuration.md, made from what the programs declare: apps/<name>/src/config.ts is the truth, and a program added
 * there is found by itself.
 *
 *   node tools/docs/configuration.mjs            writes the page
 *   node tools/docs/configuration.mjs --check    says whether it is what would be written; 1 if not
 *   … --page <file>                              another page than docs/configuration.md
 */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { format } from 'prettier';
import { external } from '../build/build.mjs';
import { root } from '../setup/stamps.mjs';

/** What every apps/<name>/src/config.ts declares: program, about, and a row for each setting. */
async function declarations() {
  const apps = readdirSync(join(root, 'apps'))
    .filter((name) => existsSync(join(root, 'apps', name, 'src/config.ts')))
    .sort();
  const folder = mkdtempSync(join(root, 'node_modules/.configuration-'));
  try {
    const outfile = join(folder, 'configs.cjs');
    const lines = apps.map((name, i) => `export * as app${i} from './apps/${name}/src/config.ts';`);
    await build({
      absWorkingDir: root,
      stdin: { contents: `${lines.join('\n')}\nexport { settingRows } from '@cometmq/shared';`, resolveDir: root },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      outfile,
      external: [...external, '@grpc/grpc-js', '@opentelemetry/*', 'fastify', '@fastify/*', 'selfsigned'],
      tsconfig: 'tsconfig.base.json',
      define: { 'import.meta.url': '__filename' },
      logLevel: 'silent',
    });
    const { settingRows, ...modules } = (await import(pathToFileURL(outfile).href)).default;
    return apps.map((name, i) => {
      const declared = Object.values(modules[`app${i}`] ?? {}).find((value) => value?.settings && value.program);
      if (!declared) throw new Error(`apps/${name}/src/config.ts declares no settings`);
      return { program: declared.program, about: declared.about, rows: settingRows(declared) };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Rows that are the same in several programs stand once, under all their names. */
function grouped(programs) {
  const byText = new Map();
  for (const { program, rows } of programs) {
    for (const row of rows) {
      const key = JSON.stringify(row);
      if (!byText.has(key)) byText.set(key, { row, programs: [] });
      byText.get(key).programs.push(program);
    }
  }
  const groups = new Map();
  for (const { row, programs: names } of byText.values()) {
    const heading = names.join(', ');
    groups.set(heading, [...(groups.get(heading) ?? []), row]);
  }
  return [...groups].sort(([a], [b]) => b.split(', ').length - a.split(', ').length || (a < b ? -1 : 1));
}

function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export async function page() {
  const programs = await declarations();
  const mute = programs.flatMap(({ program, rows }) =>
    rows.filter(({ why }) => why.trim() === '').map(({ name }) => `${program}: ${name} says nothing of what it is for`),
  );
  if (mute.length > 0) throw new Error(mute.join('\n'));
  const lines = [
    '# Configuration',
    '',
    'Made by `node tools/docs/configuration.mjs` from what the programs declare; a test fails when the two disagree.',
    '',
    'A setting `sendTimeoutMs` is the flag `--send-timeout-ms`, the variable `COMETMQ_SEND_TIMEOUT_MS`, and the line',
    '`sendTimeoutMs = …` of the file that `--config` or `COMETMQ_CONFIG` names. Flags win over variables, variables over',
    'the file, the file over defaults. Every mistake is told at the start, all at once, and ends the program with exit',
    'code 2; an unknown name is refused with the nearest one. `--help` lists the settings of a program, `--print-config`',
    'shows what is in force and where each value comes from. A secret is shown nowhere, and can be read from a file:',
    'its variable with `_FILE` behind the name.',
    '',
    '| program | is |',
    '| --- | --- |',
    ...programs.map(({ program, about }) => `| \`${program}\` | ${cell(about)} |`),
  ];
  for (const [heading, rows] of grouped(programs)) {
    lines.push('', `## ${heading}`, '', '| flag | default | allowed | meaning |', '| --- | --- | --- | --- |');
    for (const { flag, default: value, allowed, why } of rows) {
      lines.push(`| \`${flag}\` | ${value === '' ? '' : `\`${cell(value)}\``} | ${cell(allowed)} | ${cell(why)} |`);
    }
  }
  return format(`${lines.join('\n')}\n`, { parser: 'markdown', printWidth: 120 });
}

async function main(args) {
  const at = args.indexOf('--page');
  const file = resolve(root, at < 0 ? 'docs/configuration.md' : (args[at + 1] ?? ''));
  const wanted = await page();
  if (!args.includes('--check')) {
    writeFileSync(file, wanted);
    return;
  }
  const found = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (found === wanted) return;
  const lines = found.split('\n');
  const line = wanted.split('\n').findIndex((text, i) => text !== lines[i]);
  console.error(
    `${file}:${line + 1}: is not what the programs declare; run node tools/docs/configuration.mjs. Wanted here:\n` +
      wanted.split('\n')[line],
  );
  process.exitCode = 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
