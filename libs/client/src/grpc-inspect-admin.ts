import { internal } from '@cometmq/proto';
import type { GroupId, TopicId } from '@cometmq/model';

import type {
  BusyLanes,
  ConnectedClients,
  GroupMove,
  InspectAdmin,
  LagPoint,
  MessageContent,
  MessageFindings,
  MessageLife,
  MessageQuery,
} from './inspect-admin.js';
import type { MessagePlace } from './read-message.js';
import { foundFromWire, laneFromWire, lifeEventsFromWire } from './inspect-frames.js';
import type { LeaderChannels } from './leader-channels.js';
import { queueResetsFromWire } from './operator-frames.js';
import { producerFromWire, sessionFromWire } from './session-frames.js';

const service = '/cometmq.v1.InspectService';

/** `InspectAdmin` over gRPC, to the leaders that the directory names. */
export class GrpcInspectAdmin implements InspectAdmin {
  constructor(private readonly leaders: LeaderChannels) {}

  async clients(brokerSet: string): Promise<ConnectedClients> {
    const answer = await this.ask(brokerSet, 'ListClients', internal.ListClientsRequest.encode({}).finish());
    const { members, producers } = internal.ListClientsResponse.decode(answer);
    return {
      members: members.map(sessionFromWire),
      producers: producers.map(producerFromWire),
    };
  }

  async findMessages(brokerSet: string, query: MessageQuery): Promise<MessageFindings> {
    const request = internal.FindMessagesRequest.encode(query).finish();
    const found = internal.FindMessagesResponse.decode(await this.ask(brokerSet, 'FindMessages', request));
    return { ...found, messages: found.messages.map(foundFromWire) };
  }

  async readMessage(brokerSet: string, place: MessagePlace, bodyBytesMax: number): Promise<MessageContent | undefined> {
    const request = internal.ReadMessageRequest.encode({ ...place, bodyBytesMax }).finish();
    const { message, ...content } = internal.ReadMessageResponse.decode(
      await this.ask(brokerSet, 'ReadMessage', request),
    );
    return message && { ...content, message: foundFromWire(message) };
  }

  async messageLife(brokerSet: string, { position, size }: MessagePlace): Promise<MessageLife> {
    const request = internal.MessageLifeRequest.encode({ position, size }).finish();
    const life = internal.MessageLifeResponse.decode(await this.ask(brokerSet, 'MessageLife', request));
    return { ...life, events: lifeEventsFromWire(life.events) };
  }

  async lanes(brokerSet: string, groupId: GroupId, max: number): Promise<BusyLanes> {
    const request = internal.ListLanesRequest.encode({ groupId, max }).finish();
    const { lanes, total } = internal.ListLanesResponse.decode(await this.ask(brokerSet, 'ListLanes', request));
    return { lanes: lanes.map(laneFromWire), total };
  }

  async lagHistory(brokerSet: string, groupId: GroupId, fromMs: number): Promise<readonly LagPoint[]> {
    const request = internal.LagHistoryRequest.encode({ groupId, fromMs }).finish();
    return internal.LagHistoryResponse.decode(await this.ask(brokerSet, 'LagHistory', request)).points;
  }

  async moves(brokerSet: string, groupId: GroupId, fromMs: number): Promise<readonly GroupMove[]> {
    const request = internal.ListMovesRequest.encode({ groupId, fromMs }).finish();
    const { moves } = internal.ListMovesResponse.decode(await this.ask(brokerSet, 'ListMoves', request));
    return moves.map(({ topicId, queues, ...move }) => ({
      ...move,
      topicId: topicId as TopicId,
      queues: queueResetsFromWire({ queues }),
    }));
  }

  private ask(brokerSet: string, method: string, request: Uint8Array): Promise<Uint8Array> {
    return this.leaders.ask(brokerSet, `${service}/${method}`, request);
  }
}
