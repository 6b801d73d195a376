import { internal } from '@cometmq/proto';
import { groupId, queueId, topicId, type BrokerSet } from '@cometmq/model';
import { answering, GrpcJsChannel, type GrpcService } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { MqError, systemClock } from '@cometmq/shared';

import type { ClientQuestion, ResetTarget } from './broker-admin.js';
import type { Session } from './broker-link.js';
import { Directory } from './directory.js';
import { someTraits } from './testing/client-traits.js';
import { FakeNameService } from './testing/fake-name-service.js';
import { GrpcBrokerAdmin } from './grpc-broker-admin.js';
import { LeaderChannels } from './leader-channels.js';
import { Leaders } from './leaders.js';
import type { DirectoryUpdate } from './name-service.js';
import { questionFromWire, resetFromWire } from './operator-frames.js';
import { sessionToWire } from './session-frames.js';

// Goal: what a broker says of itself reaches the other side whole. Method: real gRPC to a broker that says known figures.
const figures = {
  name: 'broker-0',
  incarnation: 'v1',
  epoch: 7,
  appendEnd: 2 ** 40,
  commitEnd: 2 ** 40 - 5,
  diskBytes: 1,
  freeBytes: 2,
  lostBytes: 0,
  ...{ handedOver: 12, groupsLeave: true, onTheirWay: 3, handOverProblem: 'broker-1: it is away' },
  metadataProblem: 'another cluster',
  oldestMs: 1_700_000_000_000,
  writable: true,
  version: '0.1.0',
  waitingPolls: 3,
  sessions: 4,
};
const groupSum = { topicId: 6, queues: 3, inFlight: 1, ready: 5, blocked: 2 };
const groupQueue = {
  ...{
    topicId: 5,
    queueId: 1,
    committed: 10,
    frontier: 12,
    queueFirst: 1,
    queueNext: 20,
    inFlight: 2,
    ready: 1,
    blocked: 3,
    lanes: 2,
  },
};
const session: Session = {
  ...someTraits,
  clientId: 'c',
  groupId: groupId(9),
  subscriptions: [{ topicId: topicId(5), filter: { type: 'tag', expression: 'a' } }],
};

/** What came in, read back. */
const heard: unknown[] = [];

const service: GrpcService = {
  name: 'cometmq.v1.BrokerService',
  methods: {
    Describe: {
      kind: 'unary',
      handler: answering(async () => internal.DescribeBrokerResponse.encode(figures).finish()),
    },
    DescribeGroup: {
      kind: 'unary',
      handler: answering(async (bytes) => {
        const { groupId: id } = internal.DescribeGroupRequest.decode(bytes);
        if (id !== 9) throw new MqError('NOT_LEADER', 'another member leads');
        return internal.DescribeGroupResponse.encode({
          queues: [groupQueue],
          sums: [groupSum],
          sessions: [sessionToWire(session)],
        }).finish();
      }),
    },
    DescribeTopic: {
      kind: 'unary',
      handler: answering(async (bytes) => {
        const { topicId: id } = internal.DescribeTopicRequest.decode(bytes);
        return internal.DescribeTopicResponse.encode({
          queues: [{ queueId: 0, first: 2, next: 8, unread: 3 }],
          bytes: id,
        }).finish();
      }),
    },
    ResetProgress: {
      kind: 'unary',
      handler: answering(async (bytes) => {
        heard.push(resetFromWire(internal.ResetProgressRequest.decode(bytes)));
        return internal.ResetProgressResponse.encode({
          queues: [{ queueId: 0, before: undefined, after: 2 ** 40 }],
        }).finish();
      }),
    },
    AskClient: {
      kind: 'unary',
      handler: answering(async (bytes) => {
        heard.push(questionFromWire(internal.AskClientRequest.decode(bytes)));
        const answer = { nonce: 'n', code: 20_000, message: 'OK', text: 'stacks' };
        return internal.AskClientResponse.encode({ answer }).finish();
      }),
    },
  },
};

function directoryOf(leader: string | undefined): Directory {
  const directory = new Directory(new FakeNameService(), systemClock);
  directory.apply({ kind: 'broker', revision: 1, broker: setOf('broker-0', leader) });
  return directory;
}

function setOf(name: string, leader: string | undefined): BrokerSet {
  return {
    name,
    epoch: 1,
    leader,
    members: [],
    quorum: 1,
    stage: 'serving',
    inSync: [],
    writable: true,
    registeredMs: 0,
  };
}

const connect = (address: string) => new GrpcJsChannel({ address, clock: systemClock });

describe('an operator’s questions over gRPC', () => {
  const server = new GrpcJsServer({
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    services: [service],
    log: () => undefined,
  });
  let directory: Directory;
  let leaders: Leaders;
  let channels: LeaderChannels;
  let admin: GrpcBrokerAdmin;

  beforeAll(async () => {
    await server.start();
    directory = directoryOf(`127.0.0.1:${server.port}`);
    leaders = new Leaders(directory, systemClock);
    channels = new LeaderChannels(directory, leaders, connect, systemClock);
    await leaders.start();
    await channels.start();
    admin = new GrpcBrokerAdmin(channels);
  });
  afterAll(async () => {
    await channels.stop();
    await leaders.stop();
    await server.stop();
  });

  it('set progress and reach clients, every kind of them', async () => {
    const reset = { groupId: groupId(9), topicId: topicId(5), queueId: queueId(3) };
    const targets: ResetTarget[] = [
      ...[{ at: 'first' } as const, { at: 'end' } as const, { at: 'time', timeMs: 1_700_000_000_000 } as const],
      ...[{ at: 'offset', offset: 0 } as const, { at: 'group', groupId: groupId(4) } as const],
    ];
    for (const to of targets) {
      expect(await admin.resetProgress('broker-0', { ...reset, to })).toEqual([
        { queueId: 0, before: undefined, after: 2 ** 40 },
      ]);
    }
    await admin.resetProgress('broker-0', { ...reset, queueId: undefined, to: { at: 'end' } });
    const trial = { kind: 'verify', groupId: groupId(9), topicId: topicId(5), messageId: 'm' } as const;
    const questions: ClientQuestion[] = [
      { kind: 'printStack', clientId: 'c' },
      { kind: 'reconnect', clientId: 'c' },
      { ...trial, clientId: 'c' },
    ];
    for (const question of questions) {
      expect(await admin.askClient('broker-0', question)).toMatchObject({ code: 20_000, text: 'stacks' });
    }
    expect(heard).toEqual([
      ...targets.map((to) => ({ ...reset, to })),
      { ...reset, queueId: undefined, to: { at: 'end' } },
      ...questions,
    ]);
  });

  it('are answered whole', async () => {
    expect(await admin.describe('broker-0')).toEqual(figures);
    expect(await admin.describeGroup('broker-0', groupId(9))).toEqual({
      queues: [groupQueue],
      members: [session],
      sums: [groupSum],
    });
    expect(await admin.describeTopic('broker-0', topicId(77))).toEqual({
      queues: [{ queueId: 0, first: 2, next: 8, unread: 3 }],
      bytes: 77,
    });
  });

  it('keep the broker’s code when it refuses', async () => {
    await expect(admin.describeGroup('broker-0', groupId(1))).rejects.toMatchObject({ code: 'NOT_LEADER' });
  });

  it('are not asked where nobody leads, or of a set that is not there', async () => {
    await expect(admin.describe('broker-9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const gone: DirectoryUpdate = { kind: 'broker', revision: 2, broker: setOf('broker-1', undefined) };
    directory.apply(gone);
    await expect(admin.describe('broker-1')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
