// Goal: a channel lives as long as the term it was made for. Method: a directory that is told who leads, and channels
// that note their end.
import type { BrokerSet } from '@cometmq/model';
import type { RpcChannel } from '@cometmq/rpc';
import { systemClock } from '@cometmq/shared';

import { Directory } from './directory.js';
import { LeaderChannels } from './leader-channels.js';
import { Leaders } from './leaders.js';
import { FakeNameService } from './testing/fake-name-service.js';

describe('a channel to a leader', () => {
  let directory: Directory;
  let leaders: LeaderChannels;
  let closed: string[];

  beforeEach(async () => {
    closed = [];
    directory = new Directory(new FakeNameService(), systemClock);
    let made = 0;
    const connect = (address: string): RpcChannel => {
      const name = `${address} ${(made += 1)}`;
      return { close: () => closed.push(name) } as unknown as RpcChannel;
    };
    const known = new Leaders(directory, systemClock);
    await known.start();
    leaders = new LeaderChannels(directory, known, connect, systemClock);
    await leaders.start();
  });

  let revision = 0;
  function leads(epoch: number, leader: string | undefined): void {
    const broker: BrokerSet = {
      name: 'b',
      epoch,
      leader,
      members: [],
      quorum: 1,
      stage: 'serving',
      inSync: [],
      writable: true,
      registeredMs: 0,
    };
    directory.apply({ kind: 'broker', revision: (revision += 1), broker });
  }

  it('is one for all who ask, also while the leader is silent', () => {
    leads(1, 'x:1');
    const channel = leaders.channel('b');
    leads(1, undefined);
    leads(1, 'x:1');
    expect(leaders.channel('b')).toBe(channel);
    expect(closed).toEqual([]);
  });

  it('ends when another leads', () => {
    leads(1, 'x:1');
    const channel = leaders.channel('b');
    leads(2, 'y:1');
    expect(closed).toEqual(['x:1 1']);
    expect(leaders.channel('b')).not.toBe(channel);
  });

  it('ends when the same broker begins a new term: under the same name it may be on another machine', () => {
    leads(1, 'x:1');
    const channel = leaders.channel('b');
    leads(1, undefined);
    leads(2, 'x:1');
    expect(closed).toEqual(['x:1 1']);
    expect(leaders.channel('b')).not.toBe(channel);
  });
});
