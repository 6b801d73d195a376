import { internal } from '@cometmq/proto';
import type { MessageSink } from '@cometmq/rpc';
import { loopback } from '@cometmq/rpc/testing';
import { ManualClock } from '@cometmq/shared/testing';

import { GrpcPeers } from './grpc-peers.js';
import { encodeBatch } from './peer-frames.js';
import { at, someAttached, someHello } from './testing/scripted-door.js';

describe('GrpcPeers', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  /** A follower of a leader that says what the spec says. */
  const followed = async () => {
    const clock = new ManualClock();
    let out!: MessageSink;
    const service = {
      name: 'cometmq.v1.ReplicationService',
      methods: {
        Follow: {
          kind: 'bidi' as const,
          handler: (_call: unknown, _input: unknown, sink: MessageSink) => void (out = sink),
        },
      },
    };
    const peers = new GrpcPeers({ connect: () => loopback([service], clock), refuses: async () => false, clock });
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
    return { clock, out, said, stream };
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
