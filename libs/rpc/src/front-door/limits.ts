/** What one server grants its callers, who may be anyone. Every bound on memory and on waiting is here. */
export interface FrontDoorLimits {
  /** Above it a connection is closed as soon as it is made, or one of the address that has the most. */
  readonly connectionsMax: number;
  /** Of one address (IPv4, or the first 64 bits of IPv6): open at once, and made a second in the long run. */
  readonly addressConnectionsMax: number;
  readonly addressConnectionsPerSecond: number;
  /** What the connections of one address may have together of what all may: of memory; and of the effort of one. */
  readonly addressMemoryShare: number;
  readonly addressEffortFactor: number;
  /** Open calls of one connection; a client carries all its long polls over one. */
  readonly streamsMax: number;
  /** Of one request message where its method allows as much. RocketMQ's own proxy takes 130 MiB. */
  readonly messageBytesMax: number;
  /** Of one frame of a caller's. */
  readonly frameBytesMax: number;
  /** What a caller may send ahead on one call, until a large message has room, and on one connection. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Of one request's headers: compressed, and as RFC 9113 counts the list. */
  readonly headerBlockBytesMax: number;
  readonly headerListBytesMax: number;
  /**
   * Request messages on their way in, of one connection and of the server: not whole, not taken in, or being worked on.
   * Half of it is for large ones, which wait before they are sent until there is room, see message-assembler.ts; half for
   * what comes without having asked, and is refused above that.
   */
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
  /** A connection of which nothing was heard for so long is asked whether anybody is there… */
  readonly quietMs: number;
  /** …and closed if no answer comes within this. */
  readonly pingAnswerMs: number;
  /** What a connection may cost beside its messages, see effort.ts: a burst, and so much a second. */
  readonly effortBurst: number;
  readonly effortPerSecond: number;
}

const MiB = 1_024 * 1_024;

export const defaultFrontDoorLimits: FrontDoorLimits = {
  connectionsMax: 10_000,
  addressConnectionsMax: 2_500,
  addressConnectionsPerSecond: 250,
  addressMemoryShare: 0.5,
  addressEffortFactor: 16,
  streamsMax: 1_024,
  messageBytesMax: 130 * MiB,
  frameBytesMax: 16_384,
  streamWindowBytes: 65_535,
  connectionWindowBytes: 16 * MiB,
  headerBlockBytesMax: 65_536,
  headerListBytesMax: 32_768,
  connectionHeldBytesMax: 64 * MiB,
  serverHeldBytesMax: 128 * MiB,
  connectionQueuedBytesMax: 16 * MiB,
  serverQueuedBytesMax: 128 * MiB,
  greetingMs: 10_000,
  requestMs: 30_000,
  stalledMs: 30_000,
  unreadMs: 60_000,
  idleMs: 600_000,
  quietMs: 10_000,
  pingAnswerMs: 20_000, // Together less than a lease of a message that was written into a dead connection.
  effortBurst: 20_000,
  effortPerSecond: 5_000,
};

/**
 * For callers that are processes of our own: few, each with much to say over one connection, and many of them maybe at one
 * address. They are still held to what a mistake of theirs may cost.
 */
export const internalLimits: FrontDoorLimits = {
  ...defaultFrontDoorLimits,
  addressConnectionsMax: 10_000,
  addressConnectionsPerSecond: 10_000,
  addressMemoryShare: 1,
  streamsMax: 10_000,
  frameBytesMax: MiB,
  streamWindowBytes: 8 * MiB,
  connectionWindowBytes: 16 * MiB,
  connectionHeldBytesMax: 256 * MiB,
  serverHeldBytesMax: 512 * MiB,
  connectionQueuedBytesMax: 64 * MiB,
  serverQueuedBytesMax: 256 * MiB,
  effortBurst: 1_000_000,
  effortPerSecond: 500_000,
};
