/**
 * What a driver can be told to do with its language's client, and what it answers. A driver knows no scenario and checks
 * nothing: it makes a client, calls it, and tells what came back. One JSON object a line:
 *
 *   in   {"id": 1, "call": "producer", "as": "p1", "topics": ["t"]}
 *   out  {"id": 1, "result": {}}   or   {"id": 1, "error": {"name": "...", "message": "...", "code": 40402}}
 *   out  {"event": "message", "as": "c1", "failed": false, "message": {…}}        whenever a listener was called
 *   out  {"event": "check", "as": "p1", "message": {…}}                           whenever a checker was called
 *   out  {"event": "stray", "message": "..."}                                     an error that nobody caught
 *
 * Calls run side by side; `as` names the client they are for. Bodies are base64.
 */
export interface SaidMessage {
  readonly topic: string;
  readonly body: string;
  readonly tag?: string;
  readonly keys?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  /** Message group. */
  readonly group?: string;
  /** Clients that know whole seconds only are given whole seconds. */
  readonly deliverAtMs?: number;
  readonly priority?: number;
  readonly liteTopic?: string;
}

export interface View extends Omit<SaidMessage, 'tag' | 'group' | 'liteTopic' | 'priority' | 'deliverAtMs'> {
  /** The driver's name for what it holds: acknowledge it by this. */
  readonly ref: string;
  readonly messageId: string;
  readonly keys: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  /** 1 for the first delivery. */
  readonly attempt: number;
  /** The driver's clock when the message came. */
  readonly atMs: number;
  readonly tag?: string | null;
  readonly group?: string | null;
  readonly liteTopic?: string | null;
  readonly priority?: number | null;
  readonly deliverAtMs?: number | null;
  readonly bornAtMs?: number | null;
}

export interface Receipt {
  readonly messageId: string;
  readonly recallHandle?: string | null;
}

export interface SaidSubscription {
  readonly topic: string;
  readonly filter: string;
  readonly kind: 'tag' | 'sql';
}

/** How often a listener shall fail the message with this body before it takes it. */
export type Failures = Readonly<Record<string, number>>;

export type Resolution = 'commit' | 'rollback' | 'unknown';

interface Named {
  readonly as: string;
}

/** Each call: what goes in, what comes out. */
export interface Calls {
  /** `checker`: what the producer answers when it is asked about an orphaned transaction. */
  producer: [Named & { topics: readonly string[]; checker?: Resolution }, object];
  /** One after the other, or with `async` by the client's asynchronous call, all at once. */
  send: [Named & { messages: readonly SaidMessage[]; async?: boolean }, { receipts: readonly Receipt[] }];
  transaction: [Named & { message: SaidMessage; end: 'commit' | 'rollback' | 'leave' }, Receipt];
  recall: [Named & { topic: string; handle: string }, { messageId: string }];

  simple: [Named & { group: string; awaitMs: number; subscriptions: readonly SaidSubscription[] }, object];
  /** Nothing there is no error: an empty list. */
  receive: [Named & { max: number; invisibleMs: number }, { messages: readonly View[] }];
  ack: [Named & { ref: string }, object];
  invisible: [Named & { ref: string; ms: number }, object];
  subscribe: [Named & SaidSubscription, object];
  unsubscribe: [Named & { topic: string }, object];

  push: [Named & { group: string; subscriptions: readonly SaidSubscription[]; fail: Failures }, object];

  litePush: [Named & { group: string; topic: string; fail: Failures }, object];
  liteSimple: [Named & { group: string; topic: string; awaitMs: number }, object];
  subscribeLite: [Named & { liteTopic: string; from?: 'first' | 'end' }, object];
  unsubscribeLite: [Named & { liteTopic: string }, object];

  close: [Named, object];
}

export type CallName = keyof Calls;

export interface DriverEvent {
  readonly event: 'message' | 'check';
  readonly as: string;
  readonly failed?: boolean;
  readonly message: View;
}

/** What a client threw. `code` is the protocol's where the client tells it. */
export class ClientError extends Error {
  constructor(
    override readonly name: string,
    message: string,
    readonly code: number | undefined,
  ) {
    super(message);
  }
}

/** The client has not come back from a call. */
export class Unanswered extends Error {}

/** A client of one language and version, ready to be told what to do. */
export interface Driver {
  /** @throws ClientError what the client threw */
  call<Name extends CallName>(name: Name, args: Calls[Name][0]): Promise<Calls[Name][1]>;
  /** What listeners and checkers were called with so far. */
  events(as: string): readonly DriverEvent[];
  stop(): Promise<void>;
}
