import { MemoryAccount } from '../memory/memory-account.js';
import { addressKey } from '@cometmq/shared';
import { AddressBook } from './address-book.js';

it.each([
  ['192.0.2.7:5000', '192.0.2.7'],
  ['unknown:0', 'unknown'],
  ['[2001:db8:1:2:3:4:5:6]:7', '2001:db8:1:2::/64'],
  ['[2001:0DB8:0001:0002::9]:7', '2001:db8:1:2::/64'],
  ['[2001:db8::9]:7', '2001:db8:0:0::/64'],
  ['[::1]:7', '0:0:0:0::/64'],
  ['[fe80::1%eth0]:7', 'fe80:0:0:0::/64'],
  ['[64:ff9b::192.0.2.1]:7', '64:ff9b:0:0::/64'],
])('%s counts as %s', (peer, key) => {
  expect(addressKey(peer)).toBe(key);
});

it('remembers an address until what it has used is whole again', () => {
  const limits = {
    connectionsMax: 4,
    connectionsPerSecond: 1,
    effortBurst: 100,
    effortPerSecond: 10,
    answerBytesMax: 10,
    requestBytesMax: 10,
  };
  const book = new AddressBook(limits, new MemoryAccount(100), new MemoryAccount(100), new MemoryAccount(100));
  const entry = book.find('10.0.0.1:1', 0);
  const member = { idle: true, displace: () => undefined };
  entry.members.add(member);
  expect(book.find('10.0.0.1:2', 0)).toBe(entry);
  entry.effort.spend(100, 0);
  expect(entry.effort.spend(1, 0)).toBe(false);
  entry.members.delete(member);
  book.sweep(5_000);
  expect(book.find('10.0.0.1:3', 5_000)).toBe(entry); // Coming back renews nothing.
  book.sweep(20_000);
  expect(book.size).toBe(0);
});
