import { ManualClock } from '@cometmq/shared/testing';

import { NameServers } from './name-servers.js';

const headless = 'namesrv-headless.mq.svc';

interface World {
  readonly clock: ManualClock;
  readonly servers: NameServers;
  /** By host; none: nobody answers. */
  readonly known: Map<string, readonly string[]>;
  readonly asked: string[];
  passes(): Promise<void>;
}

async function world(addresses: string[], turn = 0): Promise<World> {
  const clock = new ManualClock();
  const known = new Map<string, readonly string[]>();
  const asked: string[] = [];
  const lookUp = (host: string): Promise<readonly string[]> => {
    asked.push(host);
    const found = known.get(host);
    return found ? Promise.resolve(found) : Promise.reject(new Error('nobody answers'));
  };
  const servers = new NameServers({ addresses, clock, lookUp, turn });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
  };
  const passes = async (): Promise<void> => {
    clock.advance(3_000);
    await settle();
  };
  await servers.start();
  await settle();
  return { clock, servers, known, asked, passes };
}

it('takes a name of several instances apart, in one order, and follows them', async () => {
  const { servers, known, passes, clock } = await world([`${headless}:9876`]);
  expect(servers.addresses).toEqual([`${headless}:9876`]);
  known.set(headless, ['10.0.0.2', '10.0.0.1', '10.0.0.2']);
  await passes();
  expect(servers.addresses).toEqual(['10.0.0.1:9876', '10.0.0.2:9876']);
  known.set(headless, ['10.0.0.3', 'fd00::1', '10.0.0.1', 'fd00::3']); // Each by both kinds.
  await passes();
  expect(servers.addresses).toEqual(['10.0.0.1:9876', '10.0.0.3:9876']);
  known.set(headless, ['10.0.0.3']);
  await passes();
  expect(servers.addresses).toEqual(['10.0.0.3:9876']);
  await servers.stop();
  expect(clock.timersWaiting).toBe(0);
});

it('begins with another one in each process, and keeps the one address of all beside them', async () => {
  for (const [turn, first] of [
    [0, '10.0.0.1'],
    [0.5, '10.0.0.2'],
    [0.99, '10.0.0.3'],
  ] as const) {
    const { servers, known, passes } = await world([`${headless}:9876`, 'namesrv:9876'], turn);
    known.set(headless, ['10.0.0.3', '10.0.0.2', '10.0.0.1']);
    known.set('namesrv', ['10.1.0.1']);
    await passes();
    expect(servers.addresses[0]).toBe(`${first}:9876`);
    expect([...servers.addresses].sort()).toEqual(
      ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'namesrv'].map((at) => `${at}:9876`),
    );
  }
});

it('keeps what was known last while nobody answers, or nobody is there', async () => {
  const { servers, known, passes } = await world([`${headless}:9876`]);
  known.set(headless, ['10.0.0.1', '10.0.0.2']);
  await passes();
  for (const none of [undefined, []]) {
    if (none === undefined) known.delete(headless);
    else known.set(headless, none);
    await passes();
    expect(servers.addresses).toEqual(['10.0.0.1:9876', '10.0.0.2:9876']);
  }
});

it('leaves alone what stands for one: an address, this machine, a name with one address', async () => {
  const addresses = ['127.0.0.1:9876', 'localhost:9876', '[::1]:9876', 'namesrv:9876'];
  const { servers, known, asked, passes } = await world(addresses);
  known.set('namesrv', ['10.0.0.9']);
  known.set('localhost', ['127.0.0.1', '::1']);
  await passes();
  expect(servers.addresses).toEqual(addresses);
  expect(new Set(asked)).toEqual(new Set(['namesrv']));
});
