/**
 * The front door's service, `apache.rocketmq.v2.MessagingService`: one file a call, all over the same parts.
 */
import type { DirectoryUpdate } from '@cometmq/client';
import type { GrpcMethod, GrpcService, ServerStreamHandler, UnaryHandler } from '@cometmq/rpc';
import { MqError, type Part, sleep, systemChance } from '@cometmq/shared';

import type { MessagingCounters } from '../counters.js';
import { FrontDoor, type FrontDoorParts } from '../front-door.js';
import { defaultLimits, sendRequestBytesMax } from '../limits.js';
import type { SessionRegistry } from '../sessions.js';
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

export type MessagingParts = Pick<FrontDoorParts, 'naming' | 'directory' | 'links' | 'clock'> & Partial<FrontDoorParts>;

export function createMessagingService(parts: MessagingParts): MessagingService {
  return new MessagingService({
    chance: systemChance,
    limits: defaultLimits,
    advertised: { kind: 'echo' },
    log: () => undefined,
    ...parts,
  });
}

/**
 * Starts after the directory and before the server that offers `service`; so it stops after that server. When the
 * server begins to stop, it must call `drain`, so that long polls end before their connections do.
 */
export class MessagingService implements Part {
  readonly name = 'messaging service';
  readonly service: GrpcService;
  private readonly door: FrontDoor;
  private forget: (() => void) | undefined;

  constructor(parts: FrontDoorParts) {
    this.door = new FrontDoor(parts, commandWord);
    this.service = { name: 'apache.rocketmq.v2.MessagingService', methods: methodsOf(this.door) };
  }

  get counters(): MessagingCounters {
    return this.door.counters;
  }
  get sessions(): SessionRegistry {
    return this.door.sessions;
  }
  get waitingPolls(): number {
    return this.door.polls.size;
  }
  get sendsInFlight(): number {
    return this.door.sends.inFlight;
  }

  start(): Promise<void> {
    this.forget = this.door.parts.directory.onUpdate((update) => this.changed(update));
    this.door.sessions.start();
    this.door.commands.listen();
    return Promise.resolve();
  }

  /** No new waiting: polls are answered now, Telemetry streams end, heartbeats fail. Sends and the rest go on. */
  drain(): void {
    this.door.draining = true;
    this.door.polls.endAll();
    for (const stream of [...this.door.streams]) stream.end();
  }

  /** Waits until what has begun is answered. */
  async stop(): Promise<void> {
    this.drain();
    await idle(this.door, this.door.limits.stopMsMax);
    this.door.sessions.stop();
    this.door.answers.stop();
    this.forget?.();
  }

  private changed(update: DirectoryUpdate): void {
    const { door } = this;
    door.routes.apply(update);
    door.names.forgetRefusals();
    door.parking.wake();
    door.polls.wake();
    door.commands.listen();
    if (update.kind === 'group') for (const stream of door.streams) stream.groupChanged(update.group);
    door.lite.repeat();
    // A new leader knows no sessions yet; a new topic or group may be what a session was waiting for.
    door.sessions.changed();
  }
}

function methodsOf(door: FrontDoor): Readonly<Record<string, GrpcMethod>> {
  const { requestBytesMax, listBytesMax, telemetryBytesMax } = door.limits;
  const unary = (handler: UnaryHandler, bytesMax = requestBytesMax): GrpcMethod => {
    return { kind: 'unary', handler, requestBytesMax: bytesMax };
  };
  const serverStream = (handler: ServerStreamHandler): GrpcMethod => {
    return { kind: 'serverStream', handler, requestBytesMax };
  };
  return {
    QueryRoute: unary(queryRoute(door)),
    Heartbeat: unary(heartbeat(door)),
    SendMessage: unary(sendMessage(door), sendRequestBytesMax(door.limits)),
    QueryAssignment: unary(queryAssignment(door)),
    ReceiveMessage: serverStream(receiveMessage(door)),
    AckMessage: unary(ackMessage(door), listBytesMax),
    ForwardMessageToDeadLetterQueue: unary(forwardToDeadLetter(door)),
    ChangeInvisibleDuration: unary(changeInvisibleDuration(door)),
    NotifyClientTermination: unary(notifyClientTermination(door)),
    Telemetry: { kind: 'bidi', handler: telemetry(door), requestBytesMax: telemetryBytesMax },
    EndTransaction: unary(endTransaction(door)),
    RecallMessage: unary(recallMessage(door)),
    SyncLiteSubscription: unary(syncLiteSubscription(door), listBytesMax),
    PullMessage: serverStream(pullMessage(door)),
    UpdateOffset: unary(updateOffset(door)),
    GetOffset: unary(getOffset(door)),
    QueryOffset: unary(queryOffset(door)),
  };
}

async function idle(door: FrontDoor, waitMs: number): Promise<void> {
  const untilMs = door.clock.monotonicMs() + waitMs;
  while (door.sends.inFlight > 0 || door.calls > 0) {
    if (door.clock.monotonicMs() >= untilMs) {
      throw new MqError('TIMEOUT', `${door.sends.inFlight} sends and ${door.calls} calls are still under way`);
    }
    await sleep(door.clock, 10);
  }
}
