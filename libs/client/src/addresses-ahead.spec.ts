// Goal: each member's address is looked up before it is needed, and again now and then. Method: a directory that is told, and a
// clock that is moved by hand.
import { ManualClock } from '@cometmq/shared/testing';

import { AddressesAhead } from './addresses-ahead.js';
import { Directory } from './directory.js';
import { FakeNameService } from './testing/fake-name-service.js';

let clock: ManualClock;
let directory: Directory;
let asked: string[];
let parts: AddressesAhead[];
let revision: number;

beforeEach(() => {
  clock = new ManualClock();
  directory = new Directory(new FakeNameService(), clock);
  asked = [];
  parts = [];
  revision = 1;
});
afterEach(async () => {
  for (const part of parts) await part.stop();
});

function shown(name: string, ...addresses: string[]): void {
  const members = addresses.map((address, i) => ({ member: `m${i}/1`, address }));
  const about = { epoch: 1, inSync: [], quorum: 1, stage: 'serving', writable: true, registeredMs: 0 } as const;
  directory.apply({ kind: 'broker', revision: (revision += 1), broker: { name, members, ...about } });
}
async function begun(only?: string): Promise<void> {
  const lookUp = (address: string): Promise<void> => {
    asked.push(address);
    return Promise.resolve();
  };
  const part = new AddressesAhead(directory, clock, lookUp, only);
  parts.push(part);
  await part.start();
  await passes(1);
}
async function passes(seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i += 1) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it('looks up members of all sets, and those that come later, once in a while', async () => {
  shown('s', 'a:1', 'b:1', '');
  await begun();
  expect(asked).toEqual(['a:1', 'b:1']);
  shown('t', 'c:1');
  await passes(10);
  expect(asked).toEqual(['a:1', 'b:1', 'c:1']);
  await passes(40);
  expect([...asked].sort()).toEqual(['a:1', 'a:1', 'b:1', 'b:1', 'c:1', 'c:1']);
});

it('looks up members of one set alone where that is wanted', async () => {
  shown('s', 'a:1');
  shown('t', 'c:1');
  await begun('t');
  expect(asked).toEqual(['c:1']);
});
