/**
 * Somebody who has no credentials, or none that are good for it, and tries every port there is, in every way it can think of, and says
 * what it was given. Needs nothing but Node.js, so that it can be carried anywhere as one text.
 */
import { request } from 'node:http';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface Door {
  /** Whose: a pod or a service, or a process. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** What is brought along. */
export interface Brought {
  readonly headers?: Readonly<Record<string, string>>;
  /** A certificate of its own, as PEM. */
  readonly cert?: string;
  readonly key?: string;
}

/** A call that was done, or an answer that says something. */
export interface Given {
  readonly door: string;
  readonly port: number;
  /** `http`, `https`, `grpc` or `grpcs`. */
  readonly how: string;
  readonly what: string;
}

export interface Tried {
  readonly given: readonly Given[];
  /** Ports that nobody listens on, or that a network keeps us from. */
  readonly shut: number;
  readonly open: number;
  readonly calls: number;
}

/** What answers at all, answers pages by then. */
const pageMs = 20_000;
/** A packet that a network drops is not waited for longer, nor a stream that says nothing. */
const waitMs = 5_000;
const atOnce = 8;
/** Where none is named, some servers shake no hands, whoever calls. */
const servername = 'localhost';
/** UNAUTHORIZED; and TOO_MANY_REQUESTS, to who was refused too often. */
const refusals: readonly (number | undefined)[] = [40_100, 42_900];
/** Asked on every port, whatever it is for. */
const pages = [
  ...['/', '/metrics', '/healthz', '/readyz', '/health', '/version', '/config', '/debug/pprof/', '/api/v1/cluster'],
  ...['/v2/keys', '/v3/kv/range', '/v3/auth/enable', '/members', '/openapi.json', '/docs', '/api/v1/audit'],
];

/** @param methods `/package.Service/Method` */
export async function tryDoors(
  doors: readonly Door[],
  methods: readonly string[],
  brought: Brought = {},
): Promise<Tried> {
  const given: Given[] = [];
  const sums = { shut: 0, open: 0, calls: 0 };
  const left = [...doors];
  const work = async (): Promise<void> => {
    for (let door = left.shift(); door; door = left.shift()) {
      if (!(await listens(door))) {
        sums.shut += 1;
        continue;
      }
      sums.open += 1;
      const { name, port } = door;
      const note = (how: string, what: string): void => void given.push({ door: name, port, how, what });
      sums.calls += await askPages(door, brought, note);
      for (const secure of [false, true]) sums.calls += await callAll(door, secure, methods, brought, note);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { given, ...sums };
}

type Note = (how: string, what: string) => void;

function listens({ host, port }: Door): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: waitMs });
    const end = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

async function askPages(door: Door, brought: Brought, note: Note): Promise<number> {
  let calls = 0;
  const ask = async (method: string, path: string): Promise<string | undefined> => {
    calls += 1;
    const { status, text } = await asked(door, method, path, brought);
    if (status < 200 || status >= 300) return undefined;
    note('http', `${method} ${path}`);
    return text;
  };
  for (const page of pages) {
    const text = await ask('GET', page);
    if (page !== '/openapi.json' || text === undefined) continue;
    const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, unknown>> };
    for (const [path, item] of Object.entries(paths)) {
      for (const method of Object.keys(item)) await ask(method.toUpperCase(), path.replace(/\{\w+\}/g, 'x'));
    }
  }
  // The answer to a handshake without a certificate, where one is asked for, is an alert.
  if ((await asked(door, 'GET', '/', brought, true)).status > 0) note('https', 'GET /');
  return calls;
}

function asked(
  { host, port }: Door,
  method: string,
  path: string,
  { headers: more, cert, key }: Brought,
  secure = false,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve) => {
    const none = (): void => resolve({ status: 0, text: '' });
    const headers = { 'content-type': 'application/json', connection: 'close', ...more };
    const createConnection = () => connectTls({ host, port, servername, cert, key, rejectUnauthorized: false });
    const call = request({ host, port, method, path, headers, timeout: pageMs, ...(secure && { createConnection }) });
    call.once('response', (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.once('error', none);
    });
    call.once('timeout', () => call.destroy());
    call.once('error', none);
    call.end(method === 'GET' ? undefined : '{}');
  });
}

async function callAll(
  door: Door,
  secure: boolean,
  methods: readonly string[],
  brought: Brought,
  note: Note,
): Promise<number> {
  const session = await opened(door, secure, brought);
  if (!session) return 0;
  const how = secure ? 'grpcs' : 'grpc';
  try {
    await Promise.all(
      methods.map(async (path) => {
        if (await called(session, path, brought)) note(how, path);
      }),
    );
  } finally {
    session.destroy();
  }
  return methods.length;
}

/** Undefined: no HTTP/2 is spoken there with somebody like us. */
function opened(
  { host, port }: Door,
  secure: boolean,
  { cert, key }: Brought,
): Promise<ClientHttp2Session | undefined> {
  return new Promise((resolve) => {
    const session = connectHttp2(`${secure ? 'https' : 'http'}://${host}:${port}`, {
      ...{ servername, cert, key, rejectUnauthorized: false },
    });
    const give = (found: ClientHttp2Session | undefined): void => {
      clearTimeout(timer);
      if (!found) session.destroy();
      resolve(found);
    };
    const timer = setTimeout(() => give(undefined), waitMs);
    session.on('error', () => give(undefined)); // Later ones end its calls.
    session.on('close', () => give(undefined));
    session.once('remoteSettings', () => give(session));
  });
}

/** True where it was done, or was answered with anything but a refusal. */
function called(session: ClientHttp2Session, path: string, { headers: more }: Brought): Promise<boolean> {
  return new Promise((resolve) => {
    if (session.destroyed) {
      resolve(false);
      return;
    }
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      ...{ 'content-type': 'application/grpc', te: 'trailers', 'x-mq-client-id': 'stranger', ...more },
    });
    let bytes = Buffer.alloc(0);
    let status = '';
    const end = (): void => {
      clearTimeout(timer);
      stream.close();
      const code = codeIn(bytes.subarray(5));
      resolve(bytes.length > 5 ? !refusals.includes(code) : status === '0');
    };
    const timer = setTimeout(end, waitMs);
    const hear = (headers: Readonly<Record<string, unknown>>): void => {
      const said = headers['grpc-status'];
      if (typeof said === 'string') status = said;
    };
    stream.on('response', hear);
    stream.on('trailers', hear);
    stream.on('data', (chunk: Buffer) => (bytes = Buffer.concat([bytes, chunk])));
    stream.on('error', end);
    stream.on('close', end);
    stream.end(Buffer.alloc(5)); // An empty message.
  });
}

/** The number in a message's `Status status = 1`, whose `Code code = 1`; undefined: it has none. */
function codeIn(message: Buffer): number | undefined {
  if (message[0] !== 0x0a || message[2] !== 0x08) return undefined;
  let code = 0;
  for (let at = 3, shift = 0; at < message.length; at += 1, shift += 7) {
    const byte = message[at] ?? 0;
    code |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return code;
}

/** What docs/users.md lists as open to who reaches the port. */
const open: readonly ((given: Given) => boolean)[] = [
  ({ how, what }) => how === 'http' && /^GET \/(metrics|healthz|readyz|health|version)$/.test(what),
  ({ how, what }) => how === 'http' && /^\w+ \/api\/v1\/(health|session)$/.test(what),
  ({ how, what }) => how === 'http' && /^GET \/(docs|openapi\.json)?$/.test(what),
  // The clients' port offers TLS with any certificate, and says what it is.
  ({ how, what }) => how === 'https' && what === 'GET /',
  ({ what }) => /^\/grpc\.(health|reflection)\./.test(what),
];

/** Given, and not listed as open. */
export function tooMuch({ given }: Pick<Tried, 'given'>): string[] {
  const wrong = given.filter((each) => !open.some((isOpen) => isOpen(each)));
  return wrong.map(({ door, port, how, what }) => `${door}:${port} ${how} ${what}`).sort();
}

/** All methods of these proto files, and etcd's. */
export function methodsIn(protoFiles: readonly string[]): string[] {
  const ours = protoFiles.flatMap((text) => {
    const [, name = ''] = /^package (.+);$/m.exec(text) ?? [];
    const services = [...text.matchAll(/^service (\w+) \{([\s\S]*?)^\}/gm)];
    return services.flatMap(([, service = '', body = '']) =>
      [...body.matchAll(/^ {2}rpc (\w+)/gm)].map(([, method = '']) => `/${name}.${service}/${method}`),
    );
  });
  const etcd = {
    KV: ['Range', 'Put', 'DeleteRange', 'Txn'],
    Auth: ['AuthDisable', 'UserList', 'UserAdd', 'RoleList'],
    Maintenance: ['Status', 'Snapshot'],
    Cluster: ['MemberList'],
  };
  const theirs = Object.entries(etcd).flatMap(([service, all]) =>
    all.map((each) => `/etcdserverpb.${service}/${each}`),
  );
  const grpcs = ['/grpc.health.v1.Health/Check', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'];
  return [...ours, ...theirs, ...grpcs];
}
