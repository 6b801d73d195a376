import { questionFromWire, resetFromWire, sessionToWire, type BrokerAdmin } from '@cometmq/client';
import type { GroupId, TopicId } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import { answering, type GrpcMethod, type GrpcService } from '@cometmq/rpc';
import type { Clock } from '@cometmq/shared';

import { backupMethods } from './backup/backup-door.js';
import { deadLetterMethods } from './dead-letter-door.js';
import { exchange, type Link, type LinkedBroker } from './link-door.js';
import type { LinkMeter } from './link-meter.js';
import { waitingMethods } from './waiting-door.js';

/** The broker's internal gRPC service: links of proxies, and what operators ask. `close` ends the links. */
export function brokerGrpcService(
  link: LinkedBroker,
  admin: BrokerAdmin,
  brokerName: string,
  clock: Clock,
  meter?: LinkMeter,
): GrpcService & { close(): void } {
  const links = new Set<Link>();
  return {
    close: () => {
      for (const each of links) each.close();
    },
    name: 'cometmq.v1.BrokerService',
    methods: {
      ...waitingMethods(admin.waiting, brokerName),
      ...deadLetterMethods(() => admin.deadLetters, brokerName),
      ...backupMethods(() => admin.backups, brokerName),
      Exchange: { kind: 'bidi', handler: exchange(link, clock, links, meter) },
      Describe: unary(async () => {
        const state = await admin.describe(brokerName);
        const { metadataProblem, handOverProblem } = state;
        return internal.DescribeBrokerResponse.encode({ ...state, metadataProblem, handOverProblem }).finish();
      }),
      ListDamage: unary(async () => {
        return internal.LogDamageResponse.encode({ damages: [...(await admin.damage(brokerName))] }).finish();
      }),
      GiveUpLost: unary(async (request) => {
        const { seen } = internal.GiveUpLostRequest.decode(request);
        return internal.LogDamageResponse.encode({ damages: [...(await admin.giveUpLost(brokerName, seen))] }).finish();
      }),
      DescribeGroup: unary(async (request) => {
        const { groupId } = internal.DescribeGroupRequest.decode(request);
        const { queues, sums, members } = await admin.describeGroup(brokerName, groupId as GroupId);
        const sessions = members.map(sessionToWire);
        return internal.DescribeGroupResponse.encode({ queues: [...queues], sums: [...sums], sessions }).finish();
      }),
      DescribeTopic: unary(async (request) => {
        const { topicId } = internal.DescribeTopicRequest.decode(request);
        const { queues, bytes } = await admin.describeTopic(brokerName, topicId as TopicId);
        return internal.DescribeTopicResponse.encode({ queues: [...queues], bytes }).finish();
      }),
      ResetProgress: unary(async (request) => {
        const call = resetFromWire(internal.ResetProgressRequest.decode(request));
        const queues = await admin.resetProgress(brokerName, call);
        return internal.ResetProgressResponse.encode({ queues: [...queues] }).finish();
      }),
      AskClient: unary(async (request) => {
        const question = questionFromWire(internal.AskClientRequest.decode(request));
        const answer = await admin.askClient(brokerName, question);
        return internal.AskClientResponse.encode({ answer }).finish();
      }),
      ListLiteTopics: unary(async (request) => {
        const { topicId, ...call } = internal.ListLiteTopicsRequest.decode(request);
        const page = await admin.listLiteTopics(brokerName, { ...call, topicId: topicId as TopicId });
        const { next, total } = page;
        return internal.ListLiteTopicsResponse.encode({ liteTopics: [...page.liteTopics], next, total }).finish();
      }),
      DescribeLiteTopic: unary(async (request) => {
        const { topicId, liteTopic } = internal.LiteTopicRequest.decode(request);
        const found = await admin.describeLiteTopic(brokerName, topicId as TopicId, liteTopic);
        const readers = found?.readers.map((reader) => ({
          groupId: reader.groupId,
          committed: reader.committed,
          inFlight: reader.inFlight,
          lag: reader.lag,
          subscribers: [...reader.subscribers],
        }));
        const state = found && { ...found, readers: readers ?? [] };
        return internal.DescribeLiteTopicResponse.encode({ state }).finish();
      }),
      DeleteLiteTopic: unary(async (request) => {
        const { topicId, liteTopic } = internal.LiteTopicRequest.decode(request);
        const deleted = await admin.deleteLiteTopic(brokerName, topicId as TopicId, liteTopic);
        return internal.DeleteLiteTopicResponse.encode({ deleted }).finish();
      }),
      HoldSends: unary(async (request) => {
        const { holdMs, groupsOnly, owner } = internal.HoldSendsRequest.decode(request);
        await admin.holdSends(brokerName, holdMs, owner, groupsOnly);
        return internal.HoldSendsResponse.encode({}).finish();
      }),
      AppendAudit: unary(async (request) => {
        await admin.appendAudit(brokerName, internal.AppendAuditRequest.decode(request));
        return internal.AppendAuditResponse.encode({}).finish();
      }),
    },
  };
}

function unary(act: (request: Uint8Array) => Promise<Uint8Array>): GrpcMethod {
  return { kind: 'unary', handler: answering(act) };
}
