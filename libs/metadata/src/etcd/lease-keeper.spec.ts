// Goal: the end of a stream that was given up already ends nothing else. Method: etcd's client as two streams, of which the
// second can't be opened; rejections that nobody has caught are listened for.
import { EventEmitter } from 'node:events';

import { ManualClock } from '@cometmq/shared/testing';

import type { EtcdClient } from './etcd-client.js';
import { LeaseKeeper } from './lease-keeper.js';

class Stream extends EventEmitter {
  write(): void {}
  cancel(): void {}
}

it('a stream of renewals that ends late, while the next can not be opened, fails no more than the renewal', async () => {
  const uncaught: unknown[] = [];
  const note = (caught: unknown): void => void uncaught.push(caught);
  process.on('unhandledRejection', note);
  const clock = new ManualClock();
  const first = new Stream();
  let refuse = (_error: Error): void => undefined;
  const second = new Promise<Stream>((_, reject) => (refuse = reject));
  const opened = [Promise.resolve(first), second];
  const client = { leaseClient: { leaseKeepAlive: () => opened.shift() } } as unknown as EtcdClient;
  const keeper = new LeaseKeeper(client, clock, 2_000);
  const slow = keeper.keep('1');
  await turns();
  clock.advance(2_000);
  await expect(slow).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const next = keeper.keep('1');
  first.emit('end');
  refuse(new Error('no connection'));
  await expect(next).rejects.toThrow('no connection');
  await turns();
  process.off('unhandledRejection', note);
  expect(uncaught).toEqual([]);
});

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise(setImmediate);
}
