/**
 * The front context's service, `apache.rocketmq.v2.MessagingService`: one file a call, all over the same parts.
 */
import type { DirectoryUpdate } from '@cometmq/client';
import type { GrpcMethod, GrpcService, ServerStreamHandler, UnaryHandler } from '@cometmq/rpc';
import { openAccess } from '@cometmq/auth';
import { MqError, type Component, sleep, systemChance } from '@cometmq/shared';

import type { MessagingCounters } from '../counters.js';
import { messagingServiceName, ProxyContext, type ProxyParts } from '../proxy-context.js';
import { defaultLimits, sendRequestBytesMax } from '../limits.js';
import type { SessionRegistry } from '../sessions.js';
import { tracedMethods } from '../tracing.js';
import { ackMessage } from './ack-message.js';
import { changeInvisibleDuration } from './change-invisible-duration.js';
import { commandWord } from './command-words.js';
import { endTransaction } from './end-transaction.js';
import { forwardToDeadLetter } from './forward-to-dead-letter.js';
import { getOffset } from './get-offset.js';
import { heartbeat } from './heartbeat.js';
import { notifyClientTermination } from './notify-client-termination.js';
import { pullMessage } from './pull-message.js';
import { queryAssignment } from './query-assignment.js';
import { queryOffset } from './query-offset.js';
import { queryRoute } from './query-route.js';
import { recallMessage } from './recall-message.js';
import { receiveMessage } from './receive-message.js';
import { sendMessage } from './send-message.js';
import { syncLiteSubscription } from './sync-lite-subscription.js';
import { telemetry } from './telemetry.js';
import { updateOffset } from './update-offset.js';

export type MessagingParts = Pick<ProxyParts, 'nameService' | 'directory' | 'links' | 'clock'> & Partial<ProxyParts>;

export function createMessagingService(parts: MessagingParts): MessagingService {
  return new MessagingService({
    chance: systemChance,
    limits: defaultLimits,
    advertised: { kind: 'echo' },
    log: () => undefined,
    access: openAccess,
    ...parts,
  });
}

/**
 * Starts after the directory and before the server that offers `service`; so it stops after that server. When the
 * server begins to stop, it must call `drain`, so that long polls end before their connections do.
 */
export class MessagingService implements Component {
  readonly name = 'messaging service';
  readonly service: GrpcService;
  private readonly context: ProxyContext;
  private readonly forget: ((() => void) | undefined)[] = [];

  constructor(parts: ProxyParts) {
    this.context = new ProxyContext(parts, commandWord);
    const methods = methodsOf(this.context);
    const { traces, clock } = parts;
    this.service = {
      name: messagingServiceName,
      methods: traces ? tracedMethods(methods, traces, clock, this.context.limits.fieldsMax) : methods,
    };
  }

  get counters(): MessagingCounters {
    return this.context.counters;
  }
  get sessions(): SessionRegistry {
    return this.context.sessions;
  }
  get waitingPolls(): number {
    return this.context.polls.size;
  }
  get sendsInFlight(): number {
    return this.context.sends.inFlight;
  }

  start(): Promise<void> {
    const { directory, links, access } = this.context.parts;
    this.forget.push(
      directory.onUpdate((update) => this.changed(update)),
      links.onChange?.(() => this.leaderChanged()),
      access.onChange(() => this.accessChanged()),
    );
    this.context.sessions.start();
    this.context.commands.listen();
    return Promise.resolve();
  }

  /** No new waiting: polls are answered now, Telemetry streams end, heartbeats fail. Sends and the rest go on. */
  drain(): void {
    this.context.draining = true;
    this.context.polls.endAll();
    for (const stream of [...this.context.streams]) stream.end();
  }

  /** Waits until what has begun is answered. */
  async stop(): Promise<void> {
    this.drain();
    await idle(this.context, this.context.limits.stopMsMax);
    this.context.sessions.stop();
    this.context.answers.stop();
    for (const forget of this.forget.splice(0)) forget?.();
  }

  /** What waits, and what is open, goes on only as far as it may. */
  private accessChanged(): void {
    const { context } = this;
    context.polls.wake();
    for (const stream of [...context.streams]) stream.recheck();
  }

  private changed(update: DirectoryUpdate): void {
    const { context } = this;
    context.routes.apply(update);
    context.names.apply(update);
    if (update.kind === 'group') for (const stream of context.streams) stream.groupChanged(update.group);
    this.leaderChanged();
  }

  /** What waits moves along. */
  private leaderChanged(): void {
    const { context } = this;
    context.parking.wake();
    context.polls.wake();
    context.commands.listen();
    context.lite.repeat();
    // A new leader knows no sessions yet; a new topic or group may be what a session was waiting for.
    context.sessions.changed();
  }
}

function methodsOf(context: ProxyContext): Readonly<Record<string, GrpcMethod>> {
  const { requestBytesMax, listBytesMax, telemetryBytesMax } = context.limits;
  const unary = (handler: UnaryHandler, bytesMax = requestBytesMax): GrpcMethod => {
    return { kind: 'unary', handler, requestBytesMax: bytesMax };
  };
  const serverStream = (handler: ServerStreamHandler): GrpcMethod => {
    return { kind: 'serverStream', handler, requestBytesMax };
  };
  return {
    QueryRoute: unary(queryRoute(context)),
    Heartbeat: unary(heartbeat(context)),
    SendMessage: unary(sendMessage(context), sendRequestBytesMax(context.limits)),
    QueryAssignment: unary(queryAssignment(context)),
    ReceiveMessage: serverStream(receiveMessage(context)),
    AckMessage: unary(ackMessage(context), listBytesMax),
    ForwardMessageToDeadLetterQueue: unary(forwardToDeadLetter(context)),
    ChangeInvisibleDuration: unary(changeInvisibleDuration(context)),
    NotifyClientTermination: unary(notifyClientTermination(context)),
    Telemetry: { kind: 'bidi', handler: telemetry(context), requestBytesMax: telemetryBytesMax },
    EndTransaction: unary(endTransaction(context)),
    RecallMessage: unary(recallMessage(context)),
    SyncLiteSubscription: unary(syncLiteSubscription(context), listBytesMax),
    PullMessage: serverStream(pullMessage(context)),
    UpdateOffset: unary(updateOffset(context)),
    GetOffset: unary(getOffset(context)),
    QueryOffset: unary(queryOffset(context)),
  };
}

async function idle(context: ProxyContext, waitMs: number): Promise<void> {
  const untilMs = context.clock.monotonicMs() + waitMs;
  while (context.sends.inFlight > 0 || context.calls > 0) {
    if (context.clock.monotonicMs() >= untilMs) {
      throw new MqError('TIMEOUT', `${context.sends.inFlight} sends and ${context.calls} calls are still under way`);
    }
    await sleep(context.clock, 10);
  }
}
