import { internal } from '@cometmq/proto';
import {
  brokerSetToWire,
  groupDraftFromWire,
  groupToWire,
  knowledgeFromWire,
  namingServiceName,
  topicDraftFromWire,
  topicToWire,
  updateToWire,
  type Asker,
  type DirectoryUpdate,
  type NameService,
} from '@cometmq/client';
import type { ConsumerGroup, MessageType, Topic } from '@cometmq/model';
import { answering, failWith, type GrpcMethod, type GrpcService, type MessageSink } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { decoded } from './decoded.js';

/** A watcher that takes nothing while so many updates gather is told the whole again instead. */
const waitingUsualMax = 10_000;

export interface NameServiceEndpoint extends GrpcService {
  /** Sends the watchers away, to another instance. For the moment the server begins to stop, which waits for open calls. */
  close(): void;
}

/**
 * The name service's door: `NameService` over gRPC. Each answer carries a revision up to which this instance's watchers have
 * been told, its own change included, so that a caller who also watches, here or elsewhere, knows what to wait for.
 */
export function namingService(nameService: NameService, waitingMax = waitingUsualMax): NameServiceEndpoint {
  const told = new LastTold(nameService);
  const watchers = new Set<MessageSink>();

  function method<Q, A>(
    requests: { decode(bytes: Uint8Array): Q },
    answers: { encode(answer: A & { revision: number }): { finish(): Uint8Array } },
    act: (request: Q, asker: Asker) => Promise<A>,
  ): GrpcMethod {
    const handler = answering(async (bytes, call) => {
      told.begin();
      const answer = await act(decoded(requests, bytes), call);
      return answers.encode({ ...answer, revision: told.revision }).finish();
    });
    return { kind: 'unary', handler };
  }
  const topic = async (asked: Promise<Topic>): Promise<{ topic: internal.Topic }> => ({
    topic: topicToWire(await asked),
  });
  const group = async (asked: Promise<ConsumerGroup>): Promise<{ group: internal.ConsumerGroup }> => ({
    group: groupToWire(await asked),
  });
  const done = async (asked: Promise<void>): Promise<object> => {
    await asked;
    return {};
  };
  const { TopicAnswer, GroupAnswer, BrokerSetAnswer, DoneAnswer } = internal;
  const { NameRequest, TopicDraft, GroupDraft, FixTopicTypeRequest } = internal;
  const { AllowAdoptionRequest, AdoptionAnswer, MetadataKnowledge } = internal;

  return {
    close: () => {
      for (const out of watchers) failWith(out, new MqError('UNAVAILABLE', 'this name service is stopping'));
    },
    name: namingServiceName,
    methods: {
      Watch: {
        kind: 'serverStream',
        handler: (_request, call, out) => {
          watchers.add(out);
          const stop = serveWatch(nameService, out, waitingMax);
          call.onCancel(() => {
            watchers.delete(out);
            stop();
          });
        },
      },
      CreateTopic: method(TopicDraft, TopicAnswer, (draft, asker) =>
        topic(nameService.createTopic(topicDraftFromWire(draft), asker)),
      ),
      EnsureTopic: method(NameRequest, TopicAnswer, ({ name }) => topic(nameService.ensureTopic(name))),
      FixTopicType: method(FixTopicTypeRequest, TopicAnswer, ({ name, type }) =>
        topic(nameService.fixTopicType(name, type as MessageType)),
      ),
      UpdateTopic: method(TopicDraft, TopicAnswer, (draft, asker) => {
        const { name, type, ...change } = topicDraftFromWire(draft);
        if (type !== undefined) throw new MqError('BAD_REQUEST', 'the type of a topic does not change');
        return topic(nameService.updateTopic(name, change, asker));
      }),
      DeleteTopic: method(NameRequest, DoneAnswer, ({ name, ...how }, asker) =>
        done(nameService.deleteTopic(name, how, asker)),
      ),
      CreateGroup: method(GroupDraft, GroupAnswer, (draft, asker) =>
        group(nameService.createGroup(groupDraftFromWire(draft), asker)),
      ),
      EnsureGroup: method(NameRequest, GroupAnswer, ({ name }) => group(nameService.ensureGroup(name))),
      UpdateGroup: method(GroupDraft, GroupAnswer, (draft, asker) => {
        const { name, ...change } = groupDraftFromWire(draft);
        return group(nameService.updateGroup(name, change, asker));
      }),
      DeleteGroup: method(NameRequest, DoneAnswer, ({ name, ...how }, asker) =>
        done(nameService.deleteGroup(name, how, asker)),
      ),
      ListRetired: method(internal.ListRetiredRequest, internal.ListRetiredAnswer, async () => {
        const { retired, graceMs } = await nameService.retired();
        return { retired: [...retired], graceMs };
      }),
      Restore: method(internal.RestoreRequest, DoneAnswer, ({ kind, id, replace, who }, asker) => {
        if (kind !== 'topic' && kind !== 'group') throw new MqError('BAD_REQUEST', 'kind: must be topic or group');
        return done(nameService.restore(kind, id, { replace, who }, asker));
      }),
      EnsureInnerTopic: method(NameRequest, TopicAnswer, ({ name }) => topic(nameService.ensureInnerTopic(name))),
      ForgetMembers: method(NameRequest, BrokerSetAnswer, async ({ name }) => ({
        broker: brokerSetToWire(await nameService.forgetMembers(name)),
      })),
      AllowAdoption: method(AllowAdoptionRequest, AdoptionAnswer, async () => ({
        untilMs: await nameService.allowAdoption(),
      })),
      AdoptMetadata: method(MetadataKnowledge, DoneAnswer, (part) =>
        done(nameService.adoptMetadata(knowledgeFromWire(part))),
      ),
    },
  };
}

/** How far the watchers of this process have been told. */
class LastTold {
  revision = 0;
  private begun = false;

  constructor(private readonly nameService: NameService) {}

  begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.nameService.watch((update) => (this.revision = update.revision));
  }
}

/** @returns what ends it. */
function serveWatch(nameService: NameService, out: MessageSink, waitingMax: number): () => void {
  let waiting: DirectoryUpdate[] = [];
  let blocked = false;
  let unwatch: (() => void) | undefined;

  const send = (update: DirectoryUpdate): void => {
    for (const frame of updateToWire(update)) {
      if (!out.write(internal.DirectoryUpdate.encode(frame).finish())) blocked = true;
    }
  };
  const watch = (): void => {
    unwatch = nameService.watch((update) => {
      if (!out.open) return unwatch?.();
      if (!blocked) return send(update);
      waiting.push(update);
      if (waiting.length <= waitingMax) return;
      waiting = [];
      unwatch?.();
      unwatch = undefined;
    });
  };
  out.onDrain(() => {
    blocked = false;
    let sent = 0;
    for (const update of waiting) {
      if (blocked) break;
      send(update);
      sent += 1;
    }
    waiting = waiting.slice(sent);
    if (!unwatch && !blocked) watch();
  });
  watch();
  return () => {
    unwatch?.();
    waiting = [];
    out.onDrain(() => undefined); // One that comes late must not watch again.
  };
}
