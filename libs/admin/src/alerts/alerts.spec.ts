// Goal: people are told once when something is wrong and once when it is over, and of nothing else. Method: looks at a
// cluster that is all fake, time in our hands, and a notifier that fails when told to.
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { memberId } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';
import { silentLogger } from '@cometmq/telemetry';
import { createServer } from 'node:http';
import { createServer as createMailServer, type AddressInfo } from 'node:net';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { FakeMembers } from '../testing/fake-members.js';
import type { AlertEvent } from './alert-book.js';
import { AlertWatch } from './alert-watch.js';
import { mail } from './mail.js';
import { webhook } from './webhook.js';

const every = 30_000;
let clock: ManualClock;
let nameService: FakeNameService;
let brokers: FakeBrokers;
let members: FakeMembers;
let directory: Directory;
let watch: AlertWatch;
let told: string[];
let failures = 0;
/** It takes what it is told, and never says so. */
let silent = false;
/** When they end, by address. */
const certificates = new Map<string, number | undefined>();

beforeEach(async () => {
  clock = new ManualClock();
  told = [];
  failures = 0;
  certificates.clear();
  nameService = new FakeNameService({ tellsLate: true });
  brokers = new FakeBrokers();
  members = new FakeMembers();
  nameService.putSet(set('a/1'));
  brokers.states.set('broker-0', {});
  directory = new Directory(nameService, clock);
  await directory.start();
  await nameService.createGroup({ name: 'billing' });
  while (!directory.group('billing')) await turn();
  const notify = async (events: readonly AlertEvent[]): Promise<void> => {
    if (silent) await new Promise(() => undefined);
    if ((failures -= 1) >= 0) throw new Error('away');
    told.push(...events.map(({ event, key }) => `${event} ${key}`));
  };
  watch = new AlertWatch({
    context: { directory, brokers, peers: members, clock, requestMsMax: 1_000 },
    log: silentLogger,
    ...{ alertEveryMs: every, alertHoldMs: 2 * every, alertLagMax: 100 },
    ...{ alertDiskFreePercentMin: 15, alertCertificateDaysMin: 14 },
    tlsAddresses: () => [...certificates.keys()],
    certificateUntilMs: async (address) => certificates.get(address),
    notifiers: [notify],
  });
});
afterEach(async () => {
  await watch.stop();
  await directory.stop();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const set = (leader: string | undefined) =>
  ({
    ...{ name: 'broker-0', epoch: 1, leader, leaderMember: leader, members: [], quorum: 1, stage: 'serving' },
    ...{ inSync: [], writable: true, registeredMs: 1 },
  }) as never;

async function looks(count: number): Promise<string[]> {
  for (let i = 0; i < count; i += 1) {
    await watch.look();
    clock.advance(every);
  }
  return told.splice(0);
}

function lag(ready: number, members: readonly object[] = []): void {
  const zeros = { committed: 0, frontier: 0, queueFirst: 0, queueNext: ready, inFlight: 0, blocked: 0, lanes: 0 };
  const queues = [{ topicId: 1, queueId: 0, ready, ...zeros }];
  brokers.groups.set(directory.group('billing')!.id, { queues, members } as never);
}

it('is told once, when it has held long enough, and once more when it is over', async () => {
  expect(await looks(5)).toEqual([]);
  lag(5);
  expect(await looks(2)).toEqual([]);
  expect(await looks(5)).toEqual(['fired noConsumer/billing']);
  expect(watch.book.firing(clock.wallMs())).toMatchObject([{ rule: 'noConsumer', subject: 'billing' }]);
  lag(0);
  expect(await looks(5)).toEqual(['resolved noConsumer/billing']);
  expect(watch.book.history.map(({ event }) => event)).toEqual(['fired', 'resolved']);
});

it('that comes and goes is told once', async () => {
  lag(5);
  await looks(4);
  for (let i = 0; i < 4; i += 1) {
    lag(0);
    expect(await looks(1)).toEqual([]);
    lag(5);
    expect(await looks(1)).toEqual([]);
  }
});

it.each([
  ['noLeader/broker-0', () => nameService.putSet(set(undefined))],
  ['brokerSilent/broker-0', () => void brokers.states.clear()],
  ['diskLow/broker-0', () => void brokers.states.set('broker-0', { freeBytes: 10, diskBytes: 90 })],
  ['diskLow/broker-0', () => void brokers.states.set('broker-0', { writable: false })],
  ['consumerLag/billing', () => lag(101, [{ clientId: 'c', subscriptions: [] }])],
])('%s is told', async (key, breakIt) => {
  breakIt();
  await turn();
  expect(await looks(4)).toEqual([`fired ${key}`]);
});

it.each([
  [2, ['fired singleCopy/broker-0']],
  [1, []],
])('a set with one member says whether it is to have more: %i', async (membersWanted, expected) => {
  const member = memberId('a/1');
  const one = { members: [{ member, address: 'a:1' }], leaderMember: member, inSync: [member] };
  nameService.putSet(Object.assign(set('a:1'), one));
  members.statuses.set('a:1', { role: 'leading', member, membersWanted });
  await turn();
  expect(await looks(4)).toEqual(expected);
});

it('a certificate that ends soon is told, is urgent in its last days, and is over once there is a newer one', async () => {
  const day = 86_400_000;
  certificates.set('proxy:8081', clock.wallMs() + 15 * day);
  expect(await looks(4)).toEqual([]);
  certificates.set('proxy:8081', clock.wallMs() + 13.5 * day);
  expect(await looks(4)).toEqual(['fired certificate/proxy:8081']);
  expect(watch.book.firing(clock.wallMs())).toMatchObject([
    { severity: 'warning', text: expect.stringContaining('ends in 13 days') },
  ]);
  certificates.set('proxy:8081', undefined); // It is not over because nobody answers.
  expect(await looks(5)).toEqual([]);
  certificates.set('proxy:8081', clock.wallMs() - 1);
  await looks(1);
  expect(watch.book.firing(clock.wallMs())).toMatchObject([
    { severity: 'critical', text: expect.stringContaining('has ended') },
  ]);
  certificates.set('proxy:8081', clock.wallMs() + 90 * day);
  expect(await looks(4)).toEqual(['resolved certificate/proxy:8081']);
});

/** An SMTP server that notes what it is given. @param refuses the recipients it does not take */
async function mailServer(refuses: boolean) {
  const said: string[] = [];
  const server = createMailServer((socket) => {
    let inData = false;
    let rest = '';
    socket.write('220 test ESMTP\r\n');
    socket.on('data', (chunk: Buffer) => {
      rest += chunk.toString('utf8');
      for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        said.push(line);
        if (inData) {
          if (line !== '.') continue;
          inData = false;
          socket.write('250 taken\r\n');
        } else if (line === 'DATA') {
          inData = true;
          socket.write('354 go on\r\n');
        } else if (line.startsWith('EHLO')) socket.write('250-test\r\n250 AUTH PLAIN\r\n');
        else if (line.startsWith('AUTH')) socket.write('235 yes\r\n');
        else if (line.startsWith('RCPT') && refuses) socket.write('550 nobody here\r\n');
        else if (line === 'QUIT') socket.end('221 bye\r\n');
        else socket.write('250 ok\r\n');
      }
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { said, port: (server.address() as AddressInfo).port, close };
}

it('mail tells of all that was found in one look; what no server takes is a failure', async () => {
  const event: AlertEvent = {
    ...{ key: 'k', rule: 'noLeader', severity: 'critical', subject: 's', event: 'fired', atMs: 1 },
    ...{ text: 'nobody leads broker set a\r\nBcc: all@example.com', silenced: false },
  };
  const parts = { from: 'mq@example.com', to: ['ops@example.com', 'night@example.com'], cluster: () => 'prod' };
  const taking = await mailServer(false);
  const server = `smtp://me:my%20word@127.0.0.1:${taking.port}`;
  await mail({ server, ...parts })([event, { ...event, event: 'resolved', text: 'it is back' }]);
  await mail({ server, ...parts })([event]);
  const { said } = taking;
  expect(said).toContain(`AUTH PLAIN ${Buffer.from('\0me\0my word').toString('base64')}`);
  expect(said.filter((line) => line.startsWith('RCPT TO')).slice(0, 2)).toEqual([
    'RCPT TO:<ops@example.com>',
    'RCPT TO:<night@example.com>',
  ]);
  expect(said).toContain('Subject: [prod] 1 alerts, 1 over');
  expect(said).toContain('1970-01-01T00:00:00.001Z over: it is back');
  expect(said.some((line) => line.startsWith('Bcc:') && said.indexOf(line) < said.indexOf('DATA'))).toBe(false);
  const headers = said.slice(said.lastIndexOf('DATA')).slice(0, said.slice(said.lastIndexOf('DATA')).indexOf(''));
  expect(headers.filter((line) => /^bcc:/i.test(line))).toEqual([]); // A text is never a header.
  await taking.close();
  const refusing = await mailServer(true);
  const refused = mail({ server: `smtp://127.0.0.1:${refusing.port}`, ...parts })([event]);
  await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('EENVELOPE') });
  await refusing.close();
  const nobody = mail({ server: `smtp://127.0.0.1:${refusing.port}`, ...parts })([event]);
  await expect(nobody).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

it('is not over because nobody answers', async () => {
  lag(5);
  brokers.states.set('broker-0', { writable: false });
  expect(await looks(4)).toEqual(['fired diskLow/broker-0', 'fired noConsumer/billing']);
  brokers.states.clear();
  expect(await looks(6)).toEqual(['fired brokerSilent/broker-0']);
  brokers.states.set('broker-0', { writable: false });
  expect(await looks(5)).toEqual(['resolved brokerSilent/broker-0']);
  brokers.states.set('broker-0', {});
  lag(0);
  expect((await looks(5)).sort()).toEqual(['resolved diskLow/broker-0', 'resolved noConsumer/billing']);
});

it('of dead letters tells at once, and never because a broker was silent', async () => {
  const topic = await nameService.ensureInnerTopic('%DLQ%billing');
  while (!directory.topic('%DLQ%billing')) await turn();
  const dead = (next: number): void => {
    brokers.topics.set(topic.id, { queues: [{ queueId: 0, first: 0, next }] } as never);
  };
  dead(5);
  expect(await looks(2)).toEqual([]);
  brokers.states.clear();
  await looks(1);
  brokers.states.set('broker-0', {});
  expect(await looks(1)).toEqual([]);
  dead(7);
  expect(await looks(1)).toEqual(['fired deadLetters/billing']);
  expect(await looks(4)).toEqual(['resolved deadLetters/billing']);
});

it('one broker set that does not answer is waited for once, however many groups there are', async () => {
  for (let i = 0; i < 60; i += 1) await nameService.createGroup({ name: `group-${i}` });
  while (!directory.group('group-59')) await turn();
  nameService.putSet(Object.assign(set('b/1'), { name: 'broker-1' }));
  while (!directory.brokerSet('broker-1')) await turn();
  lag(5);
  const asked: string[] = [];
  const { describe, describeGroup } = brokers;
  const never = new Promise<never>(() => undefined);
  brokers.describe = (name) => (name === 'broker-1' ? never : describe.call(brokers, name));
  brokers.describeGroup = (name, id) => {
    asked.push(name);
    return name === 'broker-1' ? never : describeGroup.call(brokers, name, id);
  };
  for (let i = 0; i < 4; i += 1) {
    const look = watch.look();
    await turn();
    clock.advance(1_000); // As long as one request may take.
    await look;
    clock.advance(every);
  }
  expect(told).toEqual(['fired brokerSilent/broker-1']); // Of groups it can't be told while a part is missing.
  expect(new Set(asked)).toEqual(new Set(['broker-0']));
  expect(asked).toHaveLength(4 * 61);
});

it('of a silence nobody is told, and it is noted all the same', async () => {
  lag(5);
  watch.book.silence({ key: 'noConsumer/billing', untilMs: clock.wallMs() + 20 * every, who: 'ada' });
  expect(await looks(6)).toEqual([]);
  expect(watch.book.firing(clock.wallMs())).toMatchObject([{ silenced: true }]);
  expect(watch.book.unsilence('noConsumer/billing')).toBe(true);
  lag(0);
  expect(await looks(4)).toEqual(['resolved noConsumer/billing']);
});

it('a paused group needs no consumer', async () => {
  lag(5);
  await nameService.updateGroup('billing', { pausedUntilMs: clock.wallMs() + 100 * every });
  while (directory.group('billing')?.pausedUntilMs === undefined) await turn();
  expect(await looks(6)).toEqual([]);
});

it('who could not be told is told again', async () => {
  lag(5);
  await looks(2);
  failures = 2;
  const looked = watch.look();
  while (told.length === 0) {
    await turn(); // Who is asked answers before time goes on.
    clock.advance(1_000);
  }
  await looked;
  expect(told).toEqual(['fired noConsumer/billing']);
});

it('who is away for long, or never answers, is told later of all that there was, and once', async () => {
  const pass = async (): Promise<void> => {
    let over = false;
    const looked = watch.look().finally(() => (over = true));
    while (!over) {
      await turn(); // Who is asked answers before time goes on.
      clock.advance(1_000);
    }
    await looked;
    clock.advance(every);
  };
  lag(5);
  failures = Infinity;
  for (let i = 0; i < 4; i += 1) await pass();
  lag(0);
  silent = true;
  for (let i = 0; i < 4; i += 1) await pass();
  expect(told).toEqual([]);
  failures = 0;
  silent = false;
  for (let i = 0; i < 3; i += 1) await pass();
  expect(told).toEqual(['fired noConsumer/billing', 'resolved noConsumer/billing']);
});

it('the webhook posts JSON, and what is no success is a failure', async () => {
  const bodies: string[] = [];
  const logins: (string | undefined)[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    let body = '';
    logins.push(request.headers.authorization);
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      bodies.push(body);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const notify = webhook(`http://${host}/x`, clock, () => 'prod');
  const event: AlertEvent = {
    ...{ key: 'k', rule: 'noLeader', severity: 'critical', subject: 's', text: 't', event: 'fired', atMs: 1 },
    silenced: false,
  };
  await notify([event]);
  expect(JSON.parse(bodies[0] ?? '')).toEqual({ cluster: 'prod', alerts: [event] });
  await webhook(`http://me:my%20word@${host}/x`, clock, () => 'prod')([event]);
  expect(logins).toEqual([undefined, `Basic ${Buffer.from('me:my word').toString('base64')}`]);
  status = 500;
  await expect(notify([event])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await new Promise((resolve) => server.close(resolve));
});
