import { GRPCDeadlineExceededError, GRPCResourceExhastedError } from 'etcd3';

import { ManualClock } from '@cometmq/shared/testing';

import { EtcdHosts } from './etcd-hosts.js';

const hosts = ['a:1', 'b:1', 'c:1'];

function world(of = hosts): { clock: ManualClock; told: string[]; all: EtcdHosts; aside: () => string[] } {
  const clock = new ManualClock();
  const told: string[] = [];
  const all = new EtcdHosts(of, clock, (host) => told.push(host));
  return { clock, told, all, aside: () => of.filter((host) => all.isAside(host)) };
}

describe('an endpoint that does not answer', () => {
  it('is asked last for 5 s, and for longer each time, up to a minute', () => {
    const { clock, told, all, aside } = world();
    for (const forMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      all.failed('a:1');
      all.failed('a:1'); // Others that were under way there.
      expect(aside()).toEqual(['a:1']);
      clock.advance(forMs - 1);
      expect(aside()).toEqual(['a:1']);
      clock.advance(1);
      expect(aside()).toEqual([]);
    }
    expect(told).toHaveLength(6);
  });

  it('is asked as before once it answers', async () => {
    const { clock, all, aside } = world();
    all.failed('a:1');
    clock.advance(5_000);
    await all.policy('a:1').execute(() => 'answer');
    all.failed('a:1');
    clock.advance(5_000);
    expect(aside()).toEqual([]);
  });

  it('is not taken for one that answers since a stream to it was opened', async () => {
    const { all, aside } = world();
    for (const host of hosts) all.failed(host);
    await all.policy('a:1').execute(() => ({ cancel: () => undefined }));
    expect(aside()).toEqual([]); // All of them are asked as before, and not the silent one alone.
    all.answered('b:1');
    expect(aside()).toEqual(['a:1', 'c:1']);
  });

  it('is tried again by one request, and others go elsewhere meanwhile', async () => {
    const { clock, all, aside } = world();
    all.failed('a:1');
    clock.advance(5_000);
    const silent = new GRPCDeadlineExceededError('nobody answers');
    const trying = all.policy('a:1').execute(() => Promise.reject(silent));
    expect(aside()).toEqual(['a:1']);
    await expect(trying).rejects.toBe(silent);
    clock.advance(9_999);
    expect(aside()).toEqual(['a:1']);
  });

  it('is not one that refuses something', async () => {
    const { told, all, aside } = world();
    const refused = new GRPCResourceExhastedError('etcdserver: mvcc: database space exceeded');
    await expect(all.policy('a:1').execute(() => Promise.reject(refused))).rejects.toBe(refused);
    expect([told, aside()]).toEqual([[], []]);
  });

  it('is not asked while it is last, and all are where none answers', async () => {
    const { all, aside } = world();
    all.failed('a:1');
    const ask = jest.fn();
    await expect(all.policy('a:1').execute(ask)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(ask).not.toHaveBeenCalled();
    for (const host of ['b:1', 'c:1']) all.failed(host);
    expect(aside()).toEqual([]);
    await all.policy('a:1').execute(ask);
    expect(ask).toHaveBeenCalled();
  });

  it('is asked all the same where it is the only one', () => {
    const { told, all, aside } = world(['a:1']);
    all.failed('a:1');
    expect([told, aside()]).toEqual([[], []]);
  });
});
