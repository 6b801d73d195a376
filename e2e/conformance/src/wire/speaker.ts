/** What a client of a language that is spoken for holds. */
import type { ClientType, Message, Settings } from '@cometmq/proto';

import type { SaidSubscription } from '../calls.js';
import type { Telemetry, Wire } from './wire.js';

export interface Held {
  readonly message: Message;
  readonly topic: string;
  readonly group: string;
  handle: string;
}

/** One of the language's clients: its connection, its stream, its heartbeats. */
export interface Speaker {
  readonly wire: Wire;
  readonly telemetry: Telemetry;
  readonly type: ClientType;
  readonly group: string | undefined;
  readonly subscriptions: Map<string, SaidSubscription>;
  readonly awaitMs: number;
  readonly loops: { stop(): void }[];
  settings: Settings | undefined;
  rotation: number;
  heartbeat: NodeJS.Timeout | undefined;
}
