import { internal } from '@cometmq/proto';
import type { GroupId, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { RpcChannel } from '@cometmq/rpc';
import { MqError, type Clock, type Part } from '@cometmq/shared';

import type { BrokerAdmin, BrokerState, GroupState, TopicState } from './broker-admin.js';
import type { Directory } from './directory.js';
import { sessionFromWire } from './session-frames.js';

const service = '/cometmq.v1.BrokerService';

interface Opened {
  readonly address: string;
  readonly channel: RpcChannel;
}

/** `BrokerAdmin` over gRPC, to the leaders that the directory names. */
export class GrpcBrokerAdmin implements BrokerAdmin, Part {
  readonly name = 'broker admin';
  private readonly opened = new Map<string, Opened>();
  private forget: (() => void) | undefined;

  constructor(
    private readonly directory: Directory,
    private readonly connect: (address: string) => RpcChannel,
    private readonly clock: Clock,
    /** How long one question may take. */
    private readonly callMsMax = 5_000,
  ) {}

  start(): Promise<void> {
    this.forget = this.directory.onUpdate(() => this.closeDeposed());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.forget?.();
    for (const { channel } of this.opened.values()) channel.close();
    this.opened.clear();
    return Promise.resolve();
  }

  async describe(brokerSet: string): Promise<BrokerState> {
    const answer = await this.ask(brokerSet, 'Describe', internal.DescribeBrokerRequest.encode({}).finish());
    return internal.DescribeBrokerResponse.decode(answer);
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
      members: answer.sessions.map(sessionFromWire),
    };
  }

  async describeTopic(brokerSet: string, topicId: TopicId): Promise<TopicState> {
    const request = internal.DescribeTopicRequest.encode({ topicId }).finish();
    const { queues, bytes } = internal.DescribeTopicResponse.decode(
      await this.ask(brokerSet, 'DescribeTopic', request),
    );
    return {
      queues: queues.map(({ queueId, first, next }) => ({
        queueId: queueId as QueueId,
        first: first as QueueOffset,
        next: next as QueueOffset,
      })),
      bytes,
    };
  }

  private ask(brokerSet: string, method: string, request: Uint8Array): Promise<Uint8Array> {
    const deadlineMs = this.clock.monotonicMs() + this.callMsMax;
    return this.channel(brokerSet).unary(`${service}/${method}`, request, { deadlineMs });
  }

  private channel(brokerSet: string): RpcChannel {
    const set = this.directory.brokerSet(brokerSet);
    if (!set) throw new MqError('NOT_FOUND', `there is no broker set "${brokerSet}"`);
    const address = set.leader;
    if (address === undefined || address === '') throw new MqError('UNAVAILABLE', `nobody leads ${brokerSet}`);
    const opened = this.opened.get(brokerSet);
    if (opened?.address === address) return opened.channel;
    opened?.channel.close();
    const channel = this.connect(address);
    this.opened.set(brokerSet, { address, channel });
    return channel;
  }

  private closeDeposed(): void {
    for (const [name, { address, channel }] of this.opened) {
      if (this.directory.brokerSet(name)?.leader === address) continue;
      this.opened.delete(name);
      channel.close();
    }
  }
}
