import { GrpcPeers, replicationPaths, type PeerDoor } from '@cometmq/client';
import { contractLimits, peersContract, ScriptedDoor } from '@cometmq/client/testing';
import { epoch, memberId } from '@cometmq/model';
import { CutLine } from '@cometmq/metadata/testing';
import { internal } from '@cometmq/proto';
import {
  FrontDoorServer,
  GrpcJsChannel,
  Http2Channel,
  refusesConnection,
  type GrpcServer,
  type RpcChannel,
} from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { Prng, systemClock as clock, type MqError } from '@cometmq/shared';

import { replicationGrpcService } from './replication-door.js';

type Kind = 'our own HTTP/2' | 'grpc-js';

const channelTo = (address: string, kind: Kind = 'our own HTTP/2'): RpcChannel =>
  kind === 'grpc-js' ? new GrpcJsChannel({ address, clock }) : new Http2Channel({ address, clock });

const served = async (
  door: ScriptedDoor | Parameters<typeof replicationGrpcService>[0],
  kind: Kind = 'our own HTTP/2',
) => {
  const service = replicationGrpcService(door, clock, contractLimits);
  const options = { host: '127.0.0.1', port: 0, clock, services: [service], log: () => undefined, stopMs: 20 };
  const server: GrpcServer =
    kind === 'grpc-js' ? new GrpcJsServer(options) : new FrontDoorServer({ ...options, internal: {} });
  await server.start();
  return { service, server };
};

const openPeers = (channelKind: Kind, serverKind: Kind) => async (door: PeerDoor) => {
  const alive = setInterval(() => undefined, 1_000); // The clock's timers alone keep no process alive.
  const { server } = await served(door, serverKind);
  const line = await CutLine.to(server.port);
  const peers = new GrpcPeers({
    connect: (address) => channelTo(address, channelKind),
    refuses: (address, msMax) => refusesConnection(address, msMax, clock),
    clock,
    limits: contractLimits,
  });
  let killed = false;
  const kill = async (): Promise<void> => {
    if (killed) return;
    killed = true;
    await line.end();
    await server.stop();
  };
  return {
    peer: peers.peer(`127.0.0.1:${line.port}`),
    kill,
    lose: () => line.cut(),
    cut: () => {
      line.loseRequests = true;
      line.loseAnswers = true;
    },
    close: async () => {
      await kill();
      clearInterval(alive);
    },
  };
};

// Members of different releases speak with each other while they are upgraded one by one.
peersContract('our own HTTP/2', openPeers('our own HTTP/2', 'our own HTTP/2'));
peersContract('our own HTTP/2 at grpc-js', openPeers('our own HTTP/2', 'grpc-js'));
peersContract('grpc-js at our own HTTP/2', openPeers('grpc-js', 'our own HTTP/2'));

describe('the replication door', () => {
  const ended = async (messages: readonly Uint8Array[]): Promise<MqError | undefined> => {
    const door = new ScriptedDoor();
    const { server } = await served(door);
    const channel = channelTo(`127.0.0.1:${server.port}`);
    try {
      const stream = channel.bidi(replicationPaths.follow);
      stream.onMessage(() => undefined);
      for (const message of messages) stream.write(message);
      return await new Promise((resolve) => stream.onEnd(resolve));
    } finally {
      channel.close();
      await server.stop();
    }
  };

  it('ends a stream that says something else than a follower', async () => {
    expect(await ended([Buffer.from([0xff, 0xff, 0xff])])).toMatchObject({ code: 'BAD_REQUEST' });
    expect(await ended([Buffer.from([0x1a, 0x00])])).toMatchObject({ code: 'BAD_REQUEST' }); // An ack, and no hello.
    expect(await ended([Buffer.from([0x0a, 0x00])])).toMatchObject({ code: 'BAD_REQUEST' }); // Of no member.
    expect(await ended([Buffer.alloc(2 * 1024 * 1024)])).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  });

  // Goal: no bytes bring the member down, or to the words for a mistake of its own. Method: by chance, and calls cut or bent.
  it('answers whatever bytes with what is wrong about them (seeds 0 to 299)', async () => {
    const door = new ScriptedDoor();
    door.promise = async () => ({
      kind: 'refused',
      from: memberId('a/1'),
      refusal: { why: 'promised', epoch: epoch(1) },
    });
    const { server } = await served(door);
    const channel = channelTo(`127.0.0.1:${server.port}`);
    const good = [
      internal.PromiseRequest.encode({
        brokerSet: 'b',
        epoch: 3,
        candidate: 'b/1',
        reason: 'closed',
        sounding: false,
      }).finish(),
      internal.SegmentBytesRequest.encode({ brokerSet: 'b', from: 2 ** 40, end: 2 ** 41, uncommitted: true }).finish(),
    ];
    const codes = new Set<string>();
    for (let seed = 0; seed < 300; seed += 1) {
      const chance = new Prng(seed);
      const bytes = Buffer.from(good[seed % 2] ?? []);
      if (chance.chance(0.3))
        bytes.set(Buffer.from(Array.from({ length: 9 }, () => chance.below(256))), chance.below(8));
      else bytes[chance.below(bytes.length)] = chance.below(256);
      const request = bytes.subarray(0, 1 + chance.below(bytes.length));
      const paths = Object.values(replicationPaths).filter((each) => each !== replicationPaths.follow);
      const path = paths[seed % paths.length] ?? '';
      const code = await new Promise<string>((resolve) => {
        const stream = channel.serverStream(path, request);
        stream.onMessage(() => undefined);
        stream.onEnd((error) => resolve(error?.code ?? 'OK'));
      });
      codes.add(code);
    }
    channel.close();
    await server.stop();
    expect([...codes].filter((code) => !['OK', 'BAD_REQUEST', 'NOT_FOUND'].includes(code))).toEqual([]);
    expect(codes.size).toBe(3);
  });

  it('ends a stream that says nothing', async () => {
    expect(await ended([])).toMatchObject({ code: 'BAD_REQUEST' });
  });
});
