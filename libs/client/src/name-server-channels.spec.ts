import type { RpcChannel } from '@cometmq/rpc';

import { NameServerChannels } from './name-server-channels.js';

function world(...addresses: string[]): {
  now: { addresses: string[] };
  closed: string[];
  channels: NameServerChannels;
} {
  const now = { addresses };
  const closed: string[] = [];
  const connect = (address: string): RpcChannel => ({ address, close: () => closed.push(address) }) as never;
  return { now, closed, channels: new NameServerChannels(now, connect) };
}
const addressOf = (channel: RpcChannel): string => (channel as unknown as { readonly address: string }).address;

it('finds an instance also where there are fewer than it counted', () => {
  const { now, channels } = world('a:1', 'b:1', 'c:1');
  channels.current = 2;
  now.addresses = ['a:1'];
  expect(addressOf(channels.to(channels.current))).toBe('a:1');
  channels.moveOn(2);
  expect(channels.current).toBe(0);
});

it('moves on once, whoever says so', () => {
  const { channels } = world('a:1', 'b:1', 'c:1');
  for (let i = 0; i < 3; i += 1) channels.moveOn(0);
  expect(channels.current).toBe(1);
});

it('keeps one connection to each, and the last eight to those that are no more', () => {
  const { now, closed, channels } = world('a:1');
  expect(channels.to(0)).toBe(channels.to(1));
  for (let i = 0; i < 20; i += 1) {
    now.addresses = [`${i}:1`];
    channels.to(0);
  }
  expect(closed).toEqual(['a:1', ...Array.from({ length: 11 }, (_, i) => `${i}:1`)]);
  channels.close();
  expect(closed).toHaveLength(21);
  expect(() => channels.to(0)).toThrow('is closed');
});
