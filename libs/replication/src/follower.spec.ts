// Goal: a member takes, keeps and says only what it may. Method: inputs in, outputs compared.
import { type Epoch, type EpochStart, type LogOutline, type LogPosition, memberId } from '@cometmq/model';

import { Follower, type FollowerInput } from './follower.js';

const at = (position: number): LogPosition => position as LogPosition;
const a = memberId('a');
const b = memberId('b');
const outline = (end: number, ...epochs: readonly (readonly [number, number])[]): LogOutline => ({
  epochs: epochs.map(([epoch, start]): EpochStart => ({ epoch: epoch as Epoch, start: at(start) })),
  end: at(end),
});

function following(log: LogOutline, durable: number, commit: number, promised = 1): Follower {
  const promise = { epoch: promised as Epoch, to: a };
  return new Follower({ promised: promise, log, durableEnd: at(durable), commitEnd: at(commit) }, () => log);
}

const attach = (epoch: number, log: LogOutline, leader = a): FollowerInput => ({
  ...({ kind: 'attached', session: 1, leader, epoch: epoch as Epoch, log } as const),
});

describe('a follower', () => {
  it('cuts back to the last record that both have, durably, before it asks for more', () => {
    const follower = following(outline(150, [1, 0], [2, 100]), 150, 80);
    expect(follower.step(attach(3, outline(400, [1, 0], [3, 120]), b))).toEqual([
      { kind: 'promise', promise: { epoch: 3, to: b } },
      { kind: 'truncate', to: 100 },
      { kind: 'follow', session: 1, from: 100 },
      { kind: 'ack', session: 1, end: 100 },
    ]);
  });

  it('stops rather than cut off what is committed', () => {
    const follower = following(outline(150, [1, 0], [2, 100]), 150, 120);
    expect(follower.step(attach(3, outline(400, [1, 0], [3, 120]), b))).toMatchObject([{ kind: 'halt' }]);
    expect(follower.step(attach(4, outline(500, [1, 0], [2, 100], [4, 150]), b))).toEqual([]);
  });

  it('loses nothing of the leader’s own epoch to an outline that was overtaken on its way', () => {
    const follower = following(outline(150, [1, 0]), 150, 100);
    expect(follower.step(attach(1, outline(130, [1, 0])))).toEqual([
      { kind: 'follow', session: 1, from: 150 },
      { kind: 'ack', session: 1, end: 150 },
    ]);
  });

  it('refuses who has an older epoch than it promised, or the same as another', () => {
    const follower = following(outline(10, [1, 0]), 10, 0, 5);
    expect(follower.step(attach(4, outline(10, [1, 0])))).toMatchObject([{ kind: 'refuse', epoch: 5 }]);
    expect(follower.step(attach(5, outline(10, [1, 0]), b))).toMatchObject([{ kind: 'refuse', epoch: 5 }]);
  });

  it('appends what continues its log, and says of it what is durable', () => {
    const follower = following(outline(10, [1, 0]), 10, 0);
    follower.step(attach(1, outline(50, [1, 0])));
    const received = (from: number, end: number): FollowerInput => ({
      ...({ kind: 'received', session: 1, from: at(from), end: at(end) } as const),
    });
    expect(follower.step(received(10, 30))).toEqual([{ kind: 'append', from: 10, end: 30 }]);
    expect(follower.step({ kind: 'durable', end: at(20) })).toEqual([{ kind: 'ack', session: 1, end: 20 }]);
    expect(follower.step(received(35, 40))).toMatchObject([
      { kind: 'refuse', epoch: 0, why: 'got 35 where 30 comes next' },
    ]);
    expect(follower.step(received(30, 40))).toEqual([]); // That session is over.
  });

  it('knows of no commit position beyond its own log', () => {
    const follower = following(outline(10, [1, 0]), 10, 0);
    follower.step(attach(1, outline(50, [1, 0])));
    expect(follower.step({ kind: 'committed', session: 1, end: at(40) })).toEqual([{ kind: 'commit', end: 10 }]);
    expect(follower.step({ kind: 'committed', session: 2, end: at(40) })).toEqual([]);
  });

  it('does not hear who led before once it has promised', () => {
    const follower = following(outline(10, [1, 0]), 10, 0);
    follower.step(attach(1, outline(50, [1, 0])));
    follower.promise({ epoch: 2 as Epoch, to: b });
    expect(follower.step({ kind: 'received', session: 1, from: at(10), end: at(20) })).toEqual([]);
    expect(follower.step(attach(1, outline(50, [1, 0])))).toMatchObject([{ kind: 'refuse', epoch: 2 }]);
  });
});
