#!/usr/bin/node
/** The image's one entry: becomes the program that the first word names. No shell is needed, and none is there. */
const { existsSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

const folder = join(__dirname, 'dist/apps');
const [, , role = ''] = process.argv;
// The command line is called as people call it.
const program = role === 'comet' ? 'cli' : role;
if (/^[a-z-]+$/.test(program) && existsSync(join(folder, program, 'main.cjs'))) {
  process.argv.splice(2, 1);
  if (program === 'standalone') {
    // In a container nobody is reached by 127.0.0.1, and others reach what listens elsewhere: so there are users.
    for (const name of ['PROXY_HOST', 'ADMIN_HOST', 'METRICS_HOST']) process.env[`COMETMQ_${name}`] ??= '0.0.0.0';
    process.env.COMETMQ_USERS ??= 'true';
  }
  require(join(folder, program, 'main.cjs'));
} else {
  const roles = readdirSync(folder)
    .map((name) => (name === 'cli' ? 'comet' : name))
    .sort();
  process.stderr.write(`cometmq: there is no role "${role}": there are ${roles.join(', ')}; each has --help\n`);
  process.exitCode = 2;
}
