/** What one server grants its callers, who may be anyone. Every bound on memory and on waiting is here. */
export interface FrontDoorLimits {
  /** Above it a connection is closed as soon as it is made. */
  readonly connectionsMax: number;
  /** Open calls of one connection; a client carries all its long polls over one. */
  readonly streamsMax: number;
  /** Of one request message where its method allows as much. RocketMQ's own proxy takes 130 MiB. */
  readonly messageBytesMax: number;
  /** What a caller may send ahead on one call and on one connection. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Of one request's headers: compressed, and as RFC 9113 counts the list. */
  readonly headerBlockBytesMax: number;
  readonly headerListBytesMax: number;
  /** Unfinished and undelivered messages, of one connection and of the server. Above it calls are refused. */
  readonly connectionHeldBytesMax: number;
  readonly serverHeldBytesMax: number;
  /** Answers one connection has not taken yet; above it new calls on it are refused, and room for more is not given. */
  readonly connectionQueuedBytesMax: number;
  /** The same of all connections together. */
  readonly serverQueuedBytesMax: number;
  /** Until the protocol is clear: PROXY header, TLS handshake, HTTP/2 preface; also for the rest of a frame. */
  readonly greetingMs: number;
  /** From a request's headers to its end. */
  readonly requestMs: number;
  /** A connection whose socket takes nothing for so long is closed. */
  readonly stalledMs: number;
  /** A call whose caller leaves an answer unread for so long is ended. */
  readonly unreadMs: number;
  /** A connection without calls and frames for so long is closed in good order. */
  readonly idleMs: number;
  /** Bursts and lasting rates (a second) of a connection before it is told to calm down. */
  readonly resetsBurst: number;
  readonly resetsPerSecond: number;
  readonly pingsBurst: number;
  readonly pingsPerSecond: number;
  /** SETTINGS, empty frames of data, frames of no use. */
  readonly controlsBurst: number;
  readonly controlsPerSecond: number;
}

const MiB = 1_024 * 1_024;

export const defaultFrontDoorLimits: FrontDoorLimits = {
  connectionsMax: 10_000,
  streamsMax: 1_024,
  messageBytesMax: 130 * MiB,
  streamWindowBytes: 4 * MiB,
  connectionWindowBytes: 16 * MiB,
  headerBlockBytesMax: 65_536,
  headerListBytesMax: 32_768,
  connectionHeldBytesMax: 320 * MiB, // One message of the largest size while it is joined, and some others.
  serverHeldBytesMax: 640 * MiB,
  connectionQueuedBytesMax: 16 * MiB,
  serverQueuedBytesMax: 128 * MiB,
  greetingMs: 10_000,
  requestMs: 30_000,
  stalledMs: 30_000,
  unreadMs: 60_000,
  idleMs: 600_000,
  resetsBurst: 2_000,
  resetsPerSecond: 200,
  pingsBurst: 20_000, // grpc-go measures bandwidth with a ping each round trip.
  pingsPerSecond: 10_000,
  controlsBurst: 5_000,
  controlsPerSecond: 1_000,
};
