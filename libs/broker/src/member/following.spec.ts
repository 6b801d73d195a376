import type { FollowListener, FollowStream, Peer } from '@cometmq/client';
import { someAttached, someHello } from '@cometmq/client/testing';
import { epoch, logPosition, memberId, type LogOutline, type LogPosition, type Promised } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { Following } from './following.js';

const at = logPosition;
const leader = memberId('a/1');

/** A log in which all that happens is said by the spec: what becomes durable, and when a cut is over. */
class ScriptedStore {
  appendEnd = at(200);
  commitEnd = at(50);
  epochs = [{ epoch: epoch(1), start: at(0) }];
  cut = Promise.withResolvers<void>();
  appendFails: MqError | undefined;
  cuts: number[] = [];
  private readonly waiting: { end: LogPosition; act: () => void }[] = [];
  readonly replication = {
    durableEnd: at(100),
    append: (bytes: Uint8Array): LogPosition => {
      if (this.appendFails) throw this.appendFails;
      return (this.appendEnd = at(this.appendEnd + bytes.byteLength));
    },
    whenDurable: (end: LogPosition, act: () => void): void => {
      if (end <= this.replication.durableEnd) act();
      else this.waiting.push({ end, act });
    },
    stepDown: async (to: LogPosition): Promise<void> => {
      this.cuts.push(to);
      await this.cut.promise;
      this.appendEnd = to;
      this.replication.durableEnd = at(Math.min(to, this.replication.durableEnd));
    },
    advanceCommit: (end: LogPosition) => (this.commitEnd = end),
  };
  takeSalt(): Promise<void> {
    return Promise.resolve();
  }
  becomesDurable(end: number): void {
    this.replication.durableEnd = at(end);
    const reached = this.waiting.filter((one) => one.end <= end);
    for (const one of reached) this.waiting.splice(this.waiting.indexOf(one), 1);
    for (const { act } of reached) act();
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Follows a leader whose log is `log`; what it says and what becomes of it is in `said`. */
function follow(store: ScriptedStore): { listener: FollowListener; said: string[] } {
  const said: string[] = [];
  let listener!: FollowListener;
  const stream: FollowStream = {
    follow: (_session, from) => said.push(`follow ${from}`),
    ack: (_session, end) => said.push(`ack ${end}`),
    refuse: (_session, _epoch, why) => said.push(`refuse: ${why}`),
    taken: (bytes) => bytes.fill(0xff),
    leave: () => said.push('leave'),
    close: () => said.push('close'),
  };
  const peer = {
    follow: (_hello: unknown, given: FollowListener) => {
      listener = given;
      return stream;
    },
  } as Partial<Peer> as Peer;
  const promised: Promised = { epoch: epoch(1), to: leader };
  const outline = (): LogOutline => ({ epochs: store.epochs, end: store.appendEnd });
  new Following(
    {
      store: store as unknown as StorePorts,
      outline,
      promise: async ({ epoch: promisedEpoch }) => void said.push(`promise ${promisedEpoch}`),
      withStore: (act) => act(),
      attached: () => said.push('attached'),
      beat: () => undefined,
      handOver: () => undefined,
      snapshotNeeded: () => undefined,
      closed: (error) => said.push(`closed ${error?.code}`),
      halt: (why) => said.push(`halt ${why.code}`),
    },
    { member: leader, address: 'a:1', epoch: epoch(2) },
    peer,
    someHello,
    promised,
  );
  return { listener, said };
}

/** The leader's log: the same up to `common`, where its own epoch begins. */
function attachedAt(common: number): Parameters<FollowListener['attached']>[0] {
  const epochs = [
    { epoch: epoch(1), start: at(0) },
    { epoch: epoch(2), start: at(common) },
  ];
  return { ...someAttached, session: 1, leader, epoch: epoch(2), log: { epochs, end: at(common + 10) } };
}

describe('Following', () => {
  // Goal: only what is on the disk is acknowledged. Method: bytes of an ended epoch become durable while they are being cut
  // off; other bytes take their place and are not durable yet.
  it('acknowledges of what took the place of cut bytes only what is durable itself', async () => {
    const store = new ScriptedStore();
    const { listener, said } = follow(store);
    listener.attached(attachedAt(150));
    await turns();
    expect(store.cuts).toEqual([150]);
    store.becomesDurable(200);
    store.cut.resolve();
    await turns();
    listener.batch(1, at(150), new Uint8Array(30));
    listener.batch(1, at(180), new Uint8Array(40));
    store.becomesDurable(180);
    await turns();
    expect(said).toEqual(['promise 2', 'follow 150', 'ack 100', 'attached', 'ack 150', 'ack 180']);
  });

  it('asks for damaged bytes again, and ends where its own log can not be cut', async () => {
    const store = new ScriptedStore();
    store.cut.resolve();
    const { listener, said } = follow(store);
    listener.attached(attachedAt(150));
    await turns();
    store.appendFails = new MqError('CORRUPT_RECORD', 'its checksum differs');
    listener.batch(1, at(150), new Uint8Array(30));
    expect(said.slice(-2)).toEqual(['close', 'closed CORRUPT_RECORD']);

    // What is cut in half is folded by nobody: the next stream would find nothing to cut, and go on.
    const broken = new ScriptedStore();
    broken.cut.reject(new MqError('CORRUPT_RECORD', 'the log is damaged at 90'));
    const second = follow(broken);
    second.listener.attached(attachedAt(150));
    await turns();
    expect(second.said.slice(-2)).toEqual(['close', 'halt CORRUPT_RECORD']);
  });
});
