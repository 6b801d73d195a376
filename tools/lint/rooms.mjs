/**
 * Which folder may use what from outside, in one table. Each third-party library has one room, so that it can be replaced
 * there; each seam to the world (time, chance, disk, network, processes) has its rooms, so that everything else can be
 * simulated. Folders are globs from the root; e2e/ and tools/ may use what they like.
 */
export const rooms = [
  { modules: ['fs-native-extensions'], in: ['libs/store/**'] },
  { modules: ['@grpc/grpc-js', 'selfsigned'], in: ['libs/rpc/**'] },
  { modules: ['etcd3'], in: ['libs/metadata/**'] },
  { modules: ['aws4fetch'], in: ['libs/backup/**'] },
  { modules: ['@opentelemetry/*', 'pino'], in: ['libs/telemetry/**'] },
  { modules: ['@bufbuild/protobuf', '@bufbuild/protobuf/*'], in: ['libs/proto/**'] },
  { modules: ['fastify', '@fastify/*'], in: ['libs/admin/**', 'apps/dashboard-api/**'] },
  { modules: ['nodemailer'], in: ['libs/admin/**'] },
  { modules: ['commander'], in: ['apps/cli/**'] },
  {
    modules: ['react', 'react-dom', 'react-dom/*', '@mantine/*', '@tanstack/*', 'uplot', 'vite'],
    in: ['apps/dashboard-web/**'],
  },
  { modules: ['rocketmq-client-nodejs'], in: [] },
  {
    // The words of the wire end at the doors that speak them.
    modules: ['@cometmq/proto', '@cometmq/proto/*'],
    in: [
      'libs/proxy/**',
      'libs/broker/**',
      'libs/namesrv/**',
      'libs/admin/**',
      'libs/client/**',
      'apps/dashboard-api/**',
    ],
  },
  {
    // Files, for the log and the embedded metadata; the console's pages; apps read certificates and settings.
    modules: ['fs', 'fs/promises', 'node:fs', 'node:fs/promises'],
    in: [
      ...['libs/store/src/disk/**', 'libs/store/src/**/*disk*.ts', 'libs/metadata/src/embedded/**'],
      ...['libs/admin/src/console/**', 'libs/telemetry/src/line-file*.ts', 'apps/**'],
    ],
  },
  {
    modules: ['net', 'tls', 'dgram', 'http2', 'node:net', 'node:tls', 'node:dgram', 'node:http2'],
    in: ['libs/rpc/**'],
    // What only looks at a text opens nothing.
    names: ['isIP', 'isIPv4', 'isIPv6'],
  },
  {
    // Plain HTTP serves health, metrics and the administrators.
    modules: ['http', 'https', 'node:http', 'node:https'],
    in: ['libs/rpc/**', 'libs/telemetry/**', 'libs/admin/**', 'apps/cli/**', 'apps/dashboard-api/**'],
  },
  { modules: ['child_process', 'cluster', 'node:child_process', 'node:cluster'], in: [] },
  { modules: ['timers', 'timers/promises', 'node:timers', 'node:timers/promises'], in: ['libs/shared/**'] },
  // Telemetry watches the event loop and the garbage collector.
  { modules: ['perf_hooks', 'node:perf_hooks'], in: ['libs/shared/**', 'libs/telemetry/**'] },
];

/** The rooms of time and chance: everyone else is given a Clock and a Chance. A page's time is its browser's. */
export const timeRooms = ['libs/shared/**', 'apps/dashboard-web/**'];

/** Where the table holds. */
export const sources = ['libs/**/*.ts', 'apps/**/*.ts', 'apps/**/*.tsx'];

const useClock = 'Take a Clock (libs/shared): tests and the simulation own time.';
const useChance = 'Take a Chance (libs/shared): a seed repeats a run.';

const globalTime = ['setTimeout', 'setInterval', 'performance'];
export const timeRules = {
  'no-restricted-globals': ['error', ...globalTime.map((name) => ({ name, message: useClock }))],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: useClock },
    { object: 'process', property: 'hrtime', message: useClock },
    { object: 'process', property: 'uptime', message: useClock },
    { object: 'Math', property: 'random', message: useChance },
    ...['globalThis', 'global'].flatMap((object) =>
      globalTime.map((property) => ({ object, property, message: useClock })),
    ),
  ],
  'no-restricted-syntax': [
    'error',
    { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: useClock },
    { selector: 'CallExpression[callee.name="Date"]', message: useClock },
    {
      selector:
        'ImportExpression[source.value=/^(node:)?(fs|net|tls|dgram|http2|timers|perf_hooks|child_process)(\\u002f|$)/]',
      message: 'A seam is imported at the head of its room, where the table of rooms is kept.',
    },
  ],
};

/**
 * ESLint's `no-restricted-imports` is set as a whole or not at all, so each set of rooms that meet in a folder gets its
 * own block, made from the table: first everything is forbidden everywhere, then each room gets the same list without
 * what it may use. Folders come in the order of the table's first mention; a file takes the last block that names it.
 */
export function roomBlocks() {
  const globs = [...new Set(rooms.flatMap((room) => room.in))].sort((a, b) => specificity(a) - specificity(b));
  return [
    { name: 'rooms', files: sources, rules: forbid(rooms) },
    ...globs.map((glob) => ({
      name: `rooms of ${glob}`,
      files: [glob],
      rules: forbid(rooms.filter((room) => !room.in.some((other) => covers(other, glob)))),
    })),
  ];
}

function specificity(glob) {
  return glob.length;
}

/** True when every file of `glob` is one of `other`'s, for the globs of this table. */
function covers(other, glob) {
  return other === glob || (other.endsWith('/**') && glob.startsWith(other.slice(0, -2)));
}

function forbid(closed) {
  const patterns = closed.map(({ modules, in: open, names }) => ({
    ...(names ? { allowImportNames: names } : {}),
    regex: `^(${modules.map(asRegex).join('|')})$`,
    message: `Its room is ${open.length === 0 ? 'outside libs/ and apps/' : open.join(', ')}.`,
  }));
  return { 'no-restricted-imports': ['error', { patterns }] };
}

function asRegex(module) {
  return module.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&').replaceAll('\\*', '.+');
}
