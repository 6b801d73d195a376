// Goal: nobody calls our processes but one another, each what is its own; renewed certificates are taken without an error.
// Method: servers and channels as the processes make them, an authority of the spec's own, a clock that is moved by hand.
import { connect } from 'node:tls';
import { MqError, systemClock, type Clock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { GrpcJsChannel } from '../grpc-js/grpc-js-channel.js';
import { GrpcJsServer } from '../testing/grpc-js-server.js';
import { echoService, newEchoNotes } from '../testing/echo.js';
import { certifiedBy, newAuthority, type Certified } from './authority.js';
import type { Tell } from './identity-watch.js';
import { ProcessTls, nameOfRole, type ProcessCallers, type ProcessRole } from './process-tls.js';
import type { TlsIdentity } from './tls-identity.js';

const clock = systemClock;
const callers: ProcessCallers = new Map<string, readonly ProcessRole[]>([
  ['/test.Echo/Echo', ['proxy']],
  ['/test.Echo/Chat', ['proxy']],
  ['/test.Echo/Stream', ['broker']],
]);
let ours: Certified;
let theirs: Certified;
const open: { close(): void }[] = [];
const servers: GrpcJsServer[] = [];

beforeAll(async () => {
  ours = await newAuthority('ours', clock.wallMs());
  theirs = await newAuthority('theirs', clock.wallMs());
});
afterEach(async () => {
  for (const one of open.splice(0)) one.close();
  for (const one of servers.splice(0)) await one.stop();
});

async function identityOf(role: ProcessRole | 'nobody', authority = ours, believes = ours): Promise<TlsIdentity> {
  const names = [role === 'nobody' ? 'some.host' : nameOfRole(role)];
  return { ...(await certifiedBy(authority, { names, wallMs: clock.wallMs() })), caPem: believes.certPem };
}

const tlsOf = (load: () => TlsIdentity, its: Clock = clock, tell: Tell = () => undefined): ProcessTls =>
  new ProcessTls({ load, clock: its, tell });

async function serve(process: ProcessTls): Promise<string> {
  const services = [echoService(newEchoNotes())];
  const options = { host: '127.0.0.1', port: 0, services, clock, log: () => undefined, stopMs: 200 };
  const server = new GrpcJsServer({ ...options, tls: { process, callers } });
  await server.start();
  servers.push(server);
  return `127.0.0.1:${server.port}`;
}

async function serveAs(role: ProcessRole): Promise<string> {
  const identity = await identityOf(role);
  return serve(tlsOf(() => identity));
}

async function ask(
  address: string,
  identity: TlsIdentity | undefined,
  path = '/test.Echo/Echo',
  to: ProcessRole = 'broker',
): Promise<string> {
  const tls = identity && { process: tlsOf(() => identity), to };
  const channel = new GrpcJsChannel({ address, clock, tls });
  open.push(channel);
  return channel.unary(path, Buffer.from('x'), { deadlineMs: clock.monotonicMs() + 20_000 }).then(
    () => 'OK',
    (caught: unknown) => MqError.from(caught).code,
  );
}

it('lets in a process of ours, to the calls of its role', async () => {
  const address = await serveAs('broker');
  expect(await ask(address, await identityOf('proxy'))).toBe('OK');
  expect(await ask(address, await identityOf('dashboard-api'))).toBe('UNAUTHORIZED');
  expect(await ask(address, await identityOf('nobody'))).toBe('UNAUTHORIZED');
  expect(await ask(address, await identityOf('proxy'), '/test.Echo/Fail')).toBe('UNAUTHORIZED'); // No rule: nobody's.
});

it('streams are held to the same rules', async () => {
  const address = await serveAs('broker');
  const ends = async (role: ProcessRole): Promise<MqError | undefined> => {
    const identity = await identityOf(role);
    const channel = new GrpcJsChannel({ address, clock, tls: { process: tlsOf(() => identity), to: 'broker' } });
    open.push(channel);
    const chat = channel.bidi('/test.Echo/Chat');
    chat.end();
    return new Promise((resolve) => chat.onEnd(resolve));
  };
  expect(await ends('proxy')).toBeUndefined();
  expect(await ends('broker')).toMatchObject({ code: 'UNAUTHORIZED' });
});

it('refuses who has no certificate, or one of another authority, or speaks plain text', async () => {
  const address = await serveAs('broker');
  expect(await ask(address, await identityOf('proxy', theirs))).toBe('UNAVAILABLE');
  expect(await ask(address, undefined)).toBe('UNAVAILABLE');
  const [host = '', port = ''] = address.split(':');
  const anonymous = connect({ host, port: Number(port), ca: ours.certPem, servername: nameOfRole('broker') });
  const ended = new Promise<string>((resolve) => {
    anonymous.on('error', (error: Error) => resolve(error.message));
    anonymous.on('close', () => resolve('closed'));
  });
  expect(await ended).toMatch(/certificate required|closed/);
});

it('does not speak to a server of another role, or of another authority', async () => {
  const proxy = await identityOf('proxy');
  expect(await ask(await serveAs('namesrv'), proxy)).toBe('UNAVAILABLE');
  const impostor = await identityOf('broker', theirs, ours);
  expect(await ask(await serve(tlsOf(() => impostor)), proxy)).toBe('UNAVAILABLE');
});

it('takes renewed certificates and authorities under load, without an error', async () => {
  let [server, client] = [await identityOf('broker'), await identityOf('proxy')];
  const manual = new ManualClock(clock.wallMs());
  const told: string[] = [];
  const tell: Tell = (_level, said) => void told.push(said);
  const [serverTls, clientTls] = [tlsOf(() => server, manual, tell), tlsOf(() => client, manual, tell)];
  await Promise.all([serverTls.start(), clientTls.start()]);
  const address = await serve(serverTls);
  const long = new GrpcJsChannel({ address, clock, tls: { process: clientTls, to: 'broker' } });
  open.push(long);
  const failures: unknown[] = [];
  let [asked, stopped] = [0, false];
  const round = async (channel: GrpcJsChannel): Promise<void> => {
    asked += 1;
    await channel.unary('/test.Echo/Echo', Buffer.from('x')).catch((caught: unknown) => void failures.push(caught));
  };
  const load = (async () => {
    while (!stopped) {
      const short = new GrpcJsChannel({ address, clock, tls: { process: clientTls, to: 'broker' } });
      await Promise.all([round(long), round(short)]);
      short.close();
    }
  })();
  const goOn = async (): Promise<void> => {
    const from = asked;
    while (asked < from + 20) await new Promise((resolve) => setImmediate(resolve));
  };
  await goOn();
  // First both believe both authorities, then the certificates change, then the old authority goes.
  const both = `${ours.certPem}\n${theirs.certPem}`;
  const steps: readonly [Certified, string][] = [
    [ours, both],
    [theirs, both],
    [theirs, theirs.certPem],
  ];
  for (const [authority, caPem] of steps) {
    server = { ...(await identityOf('broker', authority)), caPem };
    client = { ...(await identityOf('proxy', authority)), caPem };
    manual.advance(10_000);
    await goOn();
  }
  stopped = true;
  await load;
  expect(failures).toEqual([]);
  expect(told).toEqual(Array.from({ length: 6 }, () => 'a renewed TLS certificate is served'));
  expect(await ask(address, await identityOf('proxy'))).toBe('UNAVAILABLE'); // Of the authority that went.
  await Promise.all([serverTls.stop(), clientTls.stop()]);
});

it('says at the start what is wrong with its files', async () => {
  const identity = await identityOf('broker');
  const missing = (): TlsIdentity => {
    throw new Error('ENOENT: no such file');
  };
  expect(() => tlsOf(missing)).toThrow("the certificates between processes can't be read: ENOENT");
  expect(() => tlsOf(() => ({ ...identity, keyPem: ours.keyPem }))).toThrow('no matching PEM pair');
});
