import { placeFromWire, placeToWire, type DelayedState, type HalfState, type WaitingAdmin } from '@cometmq/client';
import type { TopicId } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import { answering, type GrpcMethod } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

/** The internal calls about messages that no queue shows yet. */
export function waitingMethods(admin: WaitingAdmin, brokerName: string): Record<string, GrpcMethod> {
  return {
    ListDelayed: unary(async (bytes) => {
      const { place, topicId, afterDueMs, afterPosition, ...query } = internal.ListDelayedRequest.decode(bytes);
      if (place) {
        const found = await admin.findDelayed(brokerName, placeFromWire(place));
        return internal.ListDelayedResponse.encode({
          messages: found ? [delayedToWire(found)] : [],
          total: 0,
        }).finish();
      }
      const after = { dueMs: afterDueMs, position: afterPosition };
      const page = await admin.listDelayed(brokerName, { ...query, topicId: topicOf(topicId), after });
      return internal.ListDelayedResponse.encode({ ...page, messages: page.messages.map(delayedToWire) }).finish();
    }),
    ChangeDelayed: unary(async (bytes) => {
      const { place, dueMs } = internal.ChangeDelayedRequest.decode(bytes);
      if (dueMs === undefined) await admin.takeBackDelayed(brokerName, placeFromWire(place));
      else await admin.moveDelayed(brokerName, placeFromWire(place), dueMs);
      return internal.ChangeDelayedResponse.encode({}).finish();
    }),
    ListHalf: unary(async (bytes) => {
      const { place, topicId, afterStoredMs, afterPosition, max } = internal.ListHalfRequest.decode(bytes);
      if (place) {
        const found = await admin.findHalf(brokerName, placeFromWire(place));
        return internal.ListHalfResponse.encode({ messages: found ? [halfToWire(found)] : [], total: 0 }).finish();
      }
      const after = { storedMs: afterStoredMs, position: afterPosition };
      const page = await admin.listHalf(brokerName, { topicId: topicOf(topicId), after, max });
      return internal.ListHalfResponse.encode({ ...page, messages: page.messages.map(halfToWire) }).finish();
    }),
    ResolveHalf: unary(async (bytes) => {
      const { place, resolution, who } = internal.ResolveHalfRequest.decode(bytes);
      if (resolution !== 'commit' && resolution !== 'rollback') {
        throw new MqError('BAD_REQUEST', `a half message is ended by commit or rollback, not "${resolution}"`);
      }
      await admin.resolveHalf(brokerName, placeFromWire(place), resolution, who);
      return internal.ResolveHalfResponse.encode({}).finish();
    }),
    ListAudits: unary(async () => {
      const audits = await admin.audits(brokerName);
      return internal.ListAuditsResponse.encode({ audits: [...audits] }).finish();
    }),
  };
}

function unary(act: (request: Uint8Array) => Promise<Uint8Array>): GrpcMethod {
  return { kind: 'unary', handler: answering(act) };
}

function topicOf(topicId: number): TopicId | undefined {
  return topicId === 0 ? undefined : (topicId as TopicId);
}

function delayedToWire({ place, ...rest }: DelayedState): internal.DelayedMessage {
  return { ...rest, place: placeToWire(place) };
}

function halfToWire({ place, ...rest }: HalfState): internal.HalfMessage {
  return { ...rest, place: placeToWire(place) };
}
