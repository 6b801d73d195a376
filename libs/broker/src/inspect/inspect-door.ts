import { foundToWire, producerToWire, sessionToWire, type InspectAdmin } from '@cometmq/client';
import type { GroupId, LogPosition, TopicId } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import { answering, type GrpcMethod, type GrpcService } from '@cometmq/rpc';

/** The internal calls of who looks at messages, and at what was decided on them. */
export function inspectGrpcService(admin: InspectAdmin, brokerName: string): GrpcService {
  return {
    name: 'cometmq.v1.InspectService',
    methods: {
      ListClients: unary(async () => {
        const { members, producers } = await admin.clients(brokerName);
        return internal.ListClientsResponse.encode({
          members: members.map(sessionToWire),
          producers: producers.map(producerToWire),
        }).finish();
      }),
      FindMessages: unary(async (bytes) => {
        const query = internal.FindMessagesRequest.decode(bytes);
        const found = await admin.findMessages(brokerName, { ...query, topicId: query.topicId as TopicId });
        return internal.FindMessagesResponse.encode({ ...found, messages: found.messages.map(foundToWire) }).finish();
      }),
      ReadMessage: unary(async (bytes) => {
        const { position, size, bodyBytesMax } = internal.ReadMessageRequest.decode(bytes);
        const content = await admin.readMessage(brokerName, { position: position as LogPosition, size }, bodyBytesMax);
        if (!content) return new Uint8Array(0);
        const { message, properties, ...rest } = content;
        return internal.ReadMessageResponse.encode({
          ...rest,
          message: foundToWire(message),
          properties: new Map(properties),
        }).finish();
      }),
      MessageLife: unary(async (bytes) => {
        const { position, size } = internal.MessageLifeRequest.decode(bytes);
        const life = await admin.messageLife(brokerName, { position: position as LogPosition, size });
        return internal.MessageLifeResponse.encode({ ...life, events: [...life.events] }).finish();
      }),
      ListLanes: unary(async (bytes) => {
        const { groupId, max } = internal.ListLanesRequest.decode(bytes);
        const { lanes, total } = await admin.lanes(brokerName, groupId as GroupId, max);
        return internal.ListLanesResponse.encode({ lanes: [...lanes], total }).finish();
      }),
      LagHistory: unary(async (bytes) => {
        const { groupId, fromMs } = internal.LagHistoryRequest.decode(bytes);
        const points = await admin.lagHistory(brokerName, groupId as GroupId, fromMs);
        return internal.LagHistoryResponse.encode({ points: [...points] }).finish();
      }),
      ListMoves: unary(async (bytes) => {
        const { groupId, fromMs } = internal.ListMovesRequest.decode(bytes);
        const moves = await admin.moves(brokerName, groupId as GroupId, fromMs);
        return internal.ListMovesResponse.encode({
          moves: moves.map(({ queues, ...move }) => ({ ...move, queues: [...queues] })),
        }).finish();
      }),
    },
  };
}

function unary(act: (request: Uint8Array) => Promise<Uint8Array>): GrpcMethod {
  return { kind: 'unary', handler: answering(act) };
}
