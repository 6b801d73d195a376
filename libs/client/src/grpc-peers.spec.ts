import { epoch, memberId } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import type { MessageSink, MessageSource, RpcChannel } from '@cometmq/rpc';
import { loopback } from '@cometmq/rpc/testing';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { GrpcPeers } from './grpc-peers.js';
import { encodeBatch } from './peer-frames.js';
import { at, someAttached, someHello } from './testing/scripted-door.js';

describe('GrpcPeers', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  /** A follower of a leader that says what the spec says. */
  const followed = async (refuses: () => Promise<boolean> = async () => false) => {
    const clock = new ManualClock();
    let out!: MessageSink;
    const acked: unknown[] = [];
    const service = {
      name: 'cometmq.v1.ReplicationService',
      methods: {
        Follow: {
          kind: 'bidi' as const,
          handler: (_call: unknown, input: MessageSource, sink: MessageSink) => {
            out = sink;
            input.onMessage((message) => acked.push(internal.FollowerSays.decode(message).says?.value));
          },
        },
      },
    };
    const peers = new GrpcPeers({ connect: () => loopback([service], clock), refuses, clock });
    const said: string[] = [];
    const stream = peers.peer('a:1').follow(someHello, {
      attached: () => said.push('attached'),
      batch: (_session, from) => said.push(`batch ${from}`),
      heartbeat: () => said.push('heartbeat'),
      snapshotNeeded: () => said.push('snapshotNeeded'),
      handOver: () => said.push('handOver'),
      closed: (error, refused) => said.push(`closed ${error?.code} ${refused}`),
    });
    await turn();
    acked.length = 0; // The hello.
    return { clock, out, said, stream, acked };
  };

  it('takes its own standing still for no silence of the leader', async () => {
    const { clock, out, said } = await followed();
    clock.advance(2_000); // Whatever came meanwhile is read behind the timers that fell due.
    out.write(Buffer.concat(encodeBatch({ from: at(1), end: at(1), pieces: [] })));
    await turn();
    clock.advance(1_999);
    await turn();
    expect(said).toEqual(['batch 1']);
    clock.advance(1_000);
    await turn();
    expect(said).toEqual(['batch 1', 'closed TIMEOUT false']);
    expect(clock.timersWaiting).toBe(0);
  });

  it('leaves out what a later version says, and ends a stream that says what is no message', async () => {
    const { out, said } = await followed();
    out.write(Buffer.from([0xf8, 0x07, 0x01])); // Field 127.
    out.write(internal.LeaderSays.encode({ says: { $case: 'handOver', value: true } }).finish());
    out.write(Buffer.from([0x0a, 0xff, 0xff]));
    out.write(internal.LeaderSays.encode({ says: { $case: 'handOver', value: true } }).finish());
    await turn();
    expect(said).toEqual(['handOver', 'closed CORRUPT_RECORD false']);
  });

  it('says one acknowledgement for all of one go, and the same again only after a while', async () => {
    const { clock, stream, acked } = await followed();
    for (let end = 1; end <= 100; end += 1) stream.ack(1, at(end));
    await turn();
    expect(acked).toEqual([{ session: 1, end: 100 }]);
    stream.ack(1, at(100));
    clock.advance(99);
    stream.ack(1, at(100));
    await turn();
    expect(acked).toHaveLength(1);
    clock.advance(1);
    stream.ack(1, at(100));
    await turn();
    expect(acked).toHaveLength(2);
    stream.ack(2, at(100)); // Of another session it is news.
    await turn();
    expect(acked).toHaveLength(3);
    stream.ack(2, at(101));
    stream.close(); // What was said before still arrives.
    await turn();
    expect(acked.at(-1)).toEqual({ session: 2, end: 101 });
  });

  it('asks what follows closely over one connection, and has a new one after a failure or a while', async () => {
    const clock = new ManualClock();
    let fails = false;
    let connections = 0;
    let open = 0;
    const answer = (): Promise<Uint8Array> =>
      fails ? Promise.reject(new MqError('UNAVAILABLE', 'gone')) : Promise.resolve(new Uint8Array());
    const connect = (): RpcChannel => {
      connections += 1;
      open += 1;
      return { unary: answer, close: () => void (open -= 1) } as unknown as RpcChannel;
    };
    const peer = new GrpcPeers({ connect, refuses: async () => false, clock }).peer('a:1');
    await Promise.all([peer.prepareHandOver('broker-0', epoch(3)), peer.mayLeave('broker-0', memberId('b/1'))]);
    clock.advance(1_999);
    await peer.handOver('broker-0', epoch(3));
    expect([connections, open]).toEqual([1, 1]);
    fails = true;
    await expect(peer.handOver('broker-0', epoch(3))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect([connections, open]).toEqual([1, 0]);
    fails = false;
    await peer.handOver('broker-0', epoch(3));
    expect([connections, open]).toEqual([2, 1]);
    clock.advance(2_000);
    expect([connections, open]).toEqual([2, 0]);
    expect(clock.timersWaiting).toBe(0);
  });

  it('says nothing once it is closed, also while it is asked whether somebody listens', async () => {
    const probed = Promise.withResolvers<boolean>();
    const { out, said, stream } = await followed(() => probed.promise);
    out.fail(14, 'it breaks');
    await turn();
    stream.close();
    probed.resolve(true);
    await turn();
    expect(said).toEqual([]);
  });

  it('says nothing once it is closed, whatever comes', async () => {
    const { clock, out, said, stream } = await followed();
    stream.close();
    stream.close();
    stream.ack(someAttached.session, at(1));
    out.write(internal.LeaderSays.encode({ says: { $case: 'handOver', value: true } }).finish());
    await turn();
    clock.advance(10_000);
    await turn();
    expect(said).toEqual([]);
    expect(clock.timersWaiting).toBe(0);
  });
});
