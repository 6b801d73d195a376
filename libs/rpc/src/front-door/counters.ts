/** What a front door has seen since it started, for telemetry. Plain numbers; read them whenever you like. */
export interface FrontDoorCounters {
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  readonly connectionsRefused: number;
  readonly callsOpen: number;
  readonly callsTotal: number;
  /** Calls turned away before a handler saw them. */
  readonly callsRefused: number;
  readonly callsCancelled: number;
  readonly deadlinesPassed: number;
  readonly handlerFailures: number;
  /** Connections ended because the peer broke HTTP/2 or a limit; floods are counted here too. */
  readonly protocolErrors: number;
  readonly floods: number;
  readonly tlsFailures: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of unfinished and undelivered request messages, now. */
  readonly heldBytes: number;
  /** Of answers waiting for their callers' windows and sockets, now. */
  readonly queuedBytes: number;
  /** Those, what sockets have not taken yet, and what handlers have asked room for, now. */
  readonly answerBytes: number;
}

export class MutableCounters implements FrontDoorCounters {
  connectionsOpen = 0;
  connectionsTotal = 0;
  connectionsRefused = 0;
  callsOpen = 0;
  callsTotal = 0;
  callsRefused = 0;
  callsCancelled = 0;
  deadlinesPassed = 0;
  handlerFailures = 0;
  protocolErrors = 0;
  floods = 0;
  tlsFailures = 0;
  bytesIn = 0;
  bytesOut = 0;
  heldBytes = 0;
  queuedBytes = 0;
  answerBytes = 0;
}
