/** Every block of README.md as printed, against the system that runs; the programs again when it is stopped. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ensure } from '../debian/ensure.mjs';
import { nothingLeft } from './newcomer.mjs';
import { bareEnvironment, ending, isFree, Running, shell } from './programs.mjs';
import { blocksOf, commandsOf } from './readme.mjs';

export async function walk(checks, newcomer, languages) {
  const page = readFileSync(join(newcomer.folder, 'README.md'), 'utf8');
  const blocks = blocksOf(page.replaceAll('127.0.0.1:8081', newcomer.endpoints));
  const unread = new Set(blocks);
  const take = (what, isIt) => {
    const block = blocks.find(isIt);
    if (block === undefined) throw new Error(`README.md has no block ${what}`);
    unread.delete(block);
    return block.text;
  };

  await checks.check('README: the first commands', () => {
    // The first has just been done, the second is what CI does next.
    const text = take('under "Start"', ({ heading }) => heading === 'Start');
    const commands = commandsOf(text).map(withoutComment);
    if (String(commands) !== 'npm start,npm test') throw new Error(`they are ${commands}`);
  });

  const runs = [];
  for (const { heading, prepared } of languages) {
    const program = take(`in ${heading}`, (block) => block.heading === heading && block.file !== undefined);
    const commands = take(`of ${heading}`, (block) => block.heading === heading && block.language === 'sh');
    const missing = await prepared.then(
      (language) => language.missing,
      () => undefined, // Told by the check.
    );
    if (missing !== undefined) {
      checks.leaveOut(`README: ${heading}`, missing);
      continue;
    }
    await checks.check(`README: ${heading}`, async () => {
      const { folder, file } = await prepared;
      const run = commandsOf(commands).at(-1);
      runs.push({ heading, folder, run });
      writeFileSync(join(folder, file), program);
      const said = await shell(run, { cwd: folder, env: bareEnvironment() });
      for (const wanted of [/^sent \S+$/m, new RegExp(`^received Hello from ${heading}$`, 'm')]) {
        if (!wanted.test(said)) throw new Error(`it did not print ${wanted}:\n${said}`);
      }
    });
  }

  await checks.check('README: the command line', async () => {
    ensure('jq', 'jq');
    const text = take('under "The command line"', ({ heading }) => heading === 'The command line');
    const said = await newcomer.run(text, { env: newcomer.cometEnv });
    for (const wanted of ['Hello from comet', '\ngreetings\n']) {
      if (!said.includes(wanted)) throw new Error(`it did not print ${JSON.stringify(wanted)}:\n${said}`);
    }
  });

  await checks.must('Ctrl-C again', () => newcomer.stop());
  runs.push({ heading: 'comet', folder: newcomer.folder, run: 'npm run comet -- send greetings hello' });
  for (const { heading, folder, run } of runs) {
    await checks.check(`README: ${heading} fails where nothing listens`, async () => {
      const env = heading === 'comet' ? newcomer.cometEnv : bareEnvironment();
      const program = new Running('sh', ['-ec', run], { cwd: folder, env });
      const code = await program.ended(60_000);
      if (typeof code !== 'number' || code === 0) throw new Error(`it ended with ${code}:\n${ending(program.said)}`);
    });
  }

  const cluster = take('that runs a cluster', ({ text }) => text.startsWith('npm run cluster'));
  await checks.check('README: a cluster on this machine, and Ctrl-C twice', () =>
    runCluster(newcomer, withoutComment(cluster.trim())),
  );

  const kubernetes = commandsOf(take('that makes an image', ({ text }) => text.startsWith('npm run image')));
  await checks.check('README: the image', () => makeImage(newcomer, kubernetes));
  await checks.check('README: what is installed on Kubernetes runs that image', () =>
    renderChart(newcomer, kubernetes),
  );
  checks.note('not run here: skopeo copy, helm install and helm test. `npm run e2e:kubernetes` does, on a cluster.');

  for (const command of ['start', 'run comet', 'run cluster', 'run bench', 'run conformance', 'run image']) {
    await checks.check(`npm ${command} -- --help`, async () => {
      const said = await newcomer.run(`npm ${command} -- --help`);
      if (!/--\w+/.test(said.replace(/^>.*$/gm, ''))) throw new Error(`that is no help:\n${ending(said)}`);
    });
  }
  await checks.check('README: no block that was not tried', () => {
    if (unread.size > 0) throw new Error(`those in the lines ${[...unread].map(({ line }) => line).join(', ')}`);
  });
}

const withoutComment = (line) => line.replace(/\s+#.*$/, '');

/** On the usual ports where they are free; one message all the way; then Ctrl-C twice, and nothing may be left. */
async function runCluster(newcomer, line) {
  const usual = [8081, 8082, 8083, 9876, 9877, 10_911, 2379, 2380, 5557];
  const isUsual = (await Promise.all(usual.map(isFree))).every(Boolean);
  const command = isUsual ? line : `${line} --port-base ${24_000 + (process.pid % 5_000)}`;
  const cluster = new Running('sh', ['-ec', command], { cwd: newcomer.folder, env: newcomer.env });
  const [, first, firstPort, second] = await cluster.says(/clients +(\S+:(\d+)), (\S+)[^]*etcd .*\n/, 180_000);
  const [, api] = await cluster.says(/REST +(http:\/\/[^/\s]+)/, 1_000);
  const comet = (endpoint, args) =>
    newcomer.run(`npm run --silent comet -- ${args}`, {
      env: { ...newcomer.env, COMET_ENDPOINT: endpoint, COMET_API: api },
    });
  await comet(first, 'send crowd "Hello from a cluster"');
  const said = await comet(second, 'receive crowd --group readers');
  if (!said.includes('Hello from a cluster')) throw new Error(`not received:\n${said}`);
  // The second time while it is stopping.
  cluster.interrupt();
  await cluster.says(/stopping/, 10_000);
  await new Promise((resolve) => setTimeout(resolve, 600)); // Within half a second it would be the same Ctrl-C.
  cluster.interrupt();
  await cluster.ended(60_000);
  await nothingLeft(newcomer.folder, [Number(firstPort)]);
}

async function makeImage(newcomer, [make, copy]) {
  await newcomer.run(make);
  const archive = /oci-archive:(\S+)/.exec(copy)?.[1];
  if (archive === undefined) throw new Error(`the second command copies no archive: ${copy}`);
  const { size } = statSync(join(newcomer.folder, archive));
  if (size < 10_000_000) throw new Error(`${archive} has ${size} bytes`);
}

/** What `helm install` would send to a cluster, by the same flags. */
async function renderChart(newcomer, commands) {
  const install = commands.find((line) => line.startsWith('helm install '));
  const image = /docker:\/\/(\S+)/.exec(commands[1])?.[1];
  const binary = /^\/.*\/helm$/m.exec(await newcomer.run('node tools/helm/ensure.mjs'))?.[0];
  const rendered = await newcomer.run(
    install.replace('helm install', `"${binary}" template`).replace('--wait', '').replace('--create-namespace', ''),
  );
  const images = new Set([...rendered.matchAll(/image: "?([^"\s]+)/g)].map(([, name]) => name));
  if (!images.has(image)) throw new Error(`the image is ${image}, the chart runs ${[...images].join(', ')}`);
}
