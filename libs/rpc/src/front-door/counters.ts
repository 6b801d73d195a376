import { refusalReasons } from '../sockets/admission.js';
import type { RefusalReason } from '../sockets/admission.js';

/** Why a connection was ended that its peer had not closed. */
export const cutReasons = [
  /** It broke HTTP/2. */
  'protocol',
  /** Frames that move nothing, beyond what they may cost. */
  'flood',
  /** It lets us answer and takes nothing of it. */
  'unread',
  /** It did not say what it is, or did not finish a frame, in time. */
  'slow',
  /** A ping was not answered: nobody is there. */
  'silent',
  /** It made room for another address when all places were taken. */
  'displaced',
] as const;
export type CutReason = (typeof cutReasons)[number];

/** What a front door has seen since it started, for telemetry. Plain numbers; read them whenever you like. */
export interface FrontDoorCounters {
  readonly connectionsOpen: number;
  /** Of them, those that have not finished their handshake, or not said yet what they are. */
  readonly connectionsOpening: number;
  readonly connectionsTotal: number;
  readonly refused: Readonly<Record<RefusalReason, number>>;
  readonly cut: Readonly<Record<CutReason, number>>;
  readonly callsOpen: number;
  readonly callsTotal: number;
  /** Calls turned away before a handler saw them. */
  readonly callsRefused: number;
  readonly callsCancelled: number;
  readonly deadlinesPassed: number;
  readonly handlerFailures: number;
  /** Connections and streams ended because the peer broke HTTP/2 or a limit. */
  readonly protocolErrors: number;
  readonly tlsFailures: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of request messages that are not whole, not taken in, or (large ones) being worked on, now. */
  readonly heldBytes: number;
  /** Of answers waiting for their callers' windows and sockets, now. */
  readonly queuedBytes: number;
  /** Those, what sockets have not taken yet, and what handlers have asked room for, now. */
  readonly answerBytes: number;
}

export class MutableCounters implements FrontDoorCounters {
  connectionsOpen = 0;
  connectionsOpening = 0;
  connectionsTotal = 0;
  readonly refused = zeros(refusalReasons);
  readonly cut = zeros(cutReasons);
  callsOpen = 0;
  callsTotal = 0;
  callsRefused = 0;
  callsCancelled = 0;
  deadlinesPassed = 0;
  handlerFailures = 0;
  protocolErrors = 0;
  tlsFailures = 0;
  bytesIn = 0;
  bytesOut = 0;
  heldBytes = 0;
  queuedBytes = 0;
  answerBytes = 0;
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
