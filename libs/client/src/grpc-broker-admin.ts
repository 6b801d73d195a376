import { internal } from '@cometmq/proto';
import type { GroupId, QueueId, QueueOffset, TopicId } from '@cometmq/model';

import type {
  AppendAuditCall,
  BrokerAdmin,
  BrokerState,
  ClientQuestion,
  GroupState,
  ListLiteTopicsCall,
  LiteTopicPage,
  LiteTopicState,
  LogDamage,
  ResetCall,
  TopicState,
} from './broker-admin.js';
import type { QueueReset } from './queue-reset.js';
import type { CommandAnswer } from './broker-link.js';
import { GrpcBackupAdmin } from './grpc-backup-admin.js';
import { GrpcDeadLetterAdmin } from './grpc-dead-letter-admin.js';
import { GrpcInspectAdmin } from './grpc-inspect-admin.js';
import { GrpcWaitingAdmin } from './grpc-waiting-admin.js';
import type { LeaderChannels } from './leader-channels.js';
import { questionToWire, queueResetsFromWire, resetToWire } from './operator-frames.js';
import { sessionFromWire } from './session-frames.js';

const service = '/cometmq.v1.BrokerService';
/** A client has 5 s to answer its broker. */
const answerMsMax = 8_000;

/** `BrokerAdmin` over gRPC, to the leaders that the directory names. */
export class GrpcBrokerAdmin implements BrokerAdmin {
  readonly waiting: GrpcWaitingAdmin;
  readonly inspect: GrpcInspectAdmin;
  readonly deadLetters: GrpcDeadLetterAdmin;
  readonly backups: GrpcBackupAdmin;

  constructor(private readonly leaders: LeaderChannels) {
    this.waiting = new GrpcWaitingAdmin(leaders);
    this.inspect = new GrpcInspectAdmin(leaders);
    this.deadLetters = new GrpcDeadLetterAdmin(leaders);
    this.backups = new GrpcBackupAdmin(leaders);
  }

  async appendAudit(brokerSet: string, { source, lines }: AppendAuditCall): Promise<void> {
    const frames = lines.map(({ text, keys, properties, ...line }) => {
      return { ...line, text: Buffer.from(text), keys: [...keys], properties: new Map(properties) };
    });
    await this.ask(brokerSet, 'AppendAudit', internal.AppendAuditRequest.encode({ source, lines: frames }).finish());
  }

  async describe(brokerSet: string): Promise<BrokerState> {
    const answer = await this.ask(brokerSet, 'Describe', internal.DescribeBrokerRequest.encode({}).finish());
    return internal.DescribeBrokerResponse.decode(answer);
  }

  async damage(brokerSet: string): Promise<readonly LogDamage[]> {
    const request = internal.LogDamageRequest.encode({}).finish();
    return internal.LogDamageResponse.decode(await this.ask(brokerSet, 'ListDamage', request)).damages;
  }

  async giveUpLost(brokerSet: string, seen?: string): Promise<readonly LogDamage[]> {
    const request = internal.GiveUpLostRequest.encode({ seen }).finish();
    return internal.LogDamageResponse.decode(await this.ask(brokerSet, 'GiveUpLost', request)).damages;
  }

  async describeGroup(brokerSet: string, groupId: GroupId): Promise<GroupState> {
    const request = internal.DescribeGroupRequest.encode({ groupId }).finish();
    const answer = internal.DescribeGroupResponse.decode(await this.ask(brokerSet, 'DescribeGroup', request));
    return {
      queues: answer.queues.map((queue) => ({
        ...queue,
        topicId: queue.topicId as TopicId,
        queueId: queue.queueId as QueueId,
        committed: queue.committed as QueueOffset,
        frontier: queue.frontier as QueueOffset,
        queueFirst: queue.queueFirst as QueueOffset,
        queueNext: queue.queueNext as QueueOffset,
      })),
      sums: answer.sums.map((sum) => ({ ...sum, topicId: sum.topicId as TopicId })),
      members: answer.sessions.map(sessionFromWire),
    };
  }

  async describeTopic(brokerSet: string, topicId: TopicId): Promise<TopicState> {
    const request = internal.DescribeTopicRequest.encode({ topicId }).finish();
    const { queues, bytes } = internal.DescribeTopicResponse.decode(
      await this.ask(brokerSet, 'DescribeTopic', request),
    );
    return {
      queues: queues.map(({ queueId, first, next, unread }) => ({
        queueId: queueId as QueueId,
        first: first as QueueOffset,
        next: next as QueueOffset,
        unread,
      })),
      bytes,
    };
  }

  async resetProgress(brokerSet: string, call: ResetCall): Promise<readonly QueueReset[]> {
    const request = internal.ResetProgressRequest.encode(resetToWire(call)).finish();
    return queueResetsFromWire(
      internal.ResetProgressResponse.decode(await this.ask(brokerSet, 'ResetProgress', request)),
    );
  }

  async askClient(brokerSet: string, question: ClientQuestion): Promise<CommandAnswer> {
    const request = internal.AskClientRequest.encode(questionToWire(question)).finish();
    const { answer } = internal.AskClientResponse.decode(
      await this.leaders.ask(brokerSet, `${service}/AskClient`, request, answerMsMax),
    );
    return answer ?? { nonce: '', code: 0, message: '', text: '' };
  }

  async listLiteTopics(brokerSet: string, call: ListLiteTopicsCall): Promise<LiteTopicPage> {
    const request = internal.ListLiteTopicsRequest.encode(call).finish();
    return internal.ListLiteTopicsResponse.decode(await this.ask(brokerSet, 'ListLiteTopics', request));
  }

  async describeLiteTopic(brokerSet: string, topicId: TopicId, liteTopic: string): Promise<LiteTopicState | undefined> {
    const request = internal.LiteTopicRequest.encode({ topicId, liteTopic }).finish();
    const { state } = internal.DescribeLiteTopicResponse.decode(
      await this.ask(brokerSet, 'DescribeLiteTopic', request),
    );
    return (
      state && {
        queueId: state.queueId as QueueId,
        first: state.first as QueueOffset,
        next: state.next as QueueOffset,
        bytes: state.bytes,
        lastMs: state.lastMs,
        readers: state.readers.map(({ groupId, committed, ...rest }) => ({
          ...rest,
          groupId: groupId as GroupId,
          committed: committed as QueueOffset | undefined,
        })),
      }
    );
  }

  async deleteLiteTopic(brokerSet: string, topicId: TopicId, liteTopic: string): Promise<boolean> {
    const request = internal.LiteTopicRequest.encode({ topicId, liteTopic }).finish();
    return internal.DeleteLiteTopicResponse.decode(await this.ask(brokerSet, 'DeleteLiteTopic', request)).deleted;
  }

  async holdSends(brokerSet: string, holdMs: number, owner: string, groupsOnly = false): Promise<void> {
    await this.ask(brokerSet, 'HoldSends', internal.HoldSendsRequest.encode({ holdMs, owner, groupsOnly }).finish());
  }

  private ask(brokerSet: string, method: string, request: Uint8Array): Promise<Uint8Array> {
    return this.leaders.ask(brokerSet, `${service}/${method}`, request);
  }
}
