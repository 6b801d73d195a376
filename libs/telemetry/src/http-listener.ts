/**
 * A port that speaks HTTP/1, and what it grants its callers, who may be anyone: places for so many connections in all and of
 * one address, time for a request to arrive and for an answer to be taken, and so many requests at once on one connection.
 * When all places are taken, the address that has the most gives one up, if the newcomer's would still have fewer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import {
  addressKey,
  MqError,
  OwnStalls,
  peerText,
  placesBeyond,
  processPlaces,
  throwAssertion,
  type Clock,
  type SocketPlaces,
  type Timer,
} from '@cometmq/shared';

export interface HttpConnections {
  readonly connectionsMax: number;
  /** Of one IPv4 address, or of the first 64 bits of an IPv6 one. */
  readonly addressConnectionsMax: number;
}

export interface HttpTimes {
  /** From the connection, or a request's first byte, to the end of its headers. */
  readonly headersMs: number;
  /** To the end of its body. */
  readonly requestMs: number;
  /** How long a connection is kept for another request. */
  readonly keepAliveMs: number;
  /** A connection that takes nothing of an answer for so long is closed. */
  readonly stalledMs: number;
}

export interface HttpListenerOptions {
  /** For the message when it can't listen. */
  readonly what: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly connections?: HttpConnections | undefined;
  readonly times?: Partial<HttpTimes>;
  /** Default: those of the process. */
  readonly places?: SocketPlaces;
  readonly clock: Clock;
  /** What it throws is answered with 500. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void;
}

export const defaultHttpConnections: HttpConnections = { connectionsMax: 1_000, addressConnectionsMax: 500 };

const defaultTimes: HttpTimes = { headersMs: 10_000, requestMs: 30_000, keepAliveMs: 5_000, stalledMs: 60_000 };
const headerBytesMax = 16 * 1024;
/** Browsers send one after the other. Node.js would begin with all that lie in one packet. */
const requestsAtOnceMax = 8;
const checkMs = 1_000;

type Socket = IncomingMessage['socket'];

interface Connection {
  readonly socket: Socket;
  /** All of its address. */
  readonly beside: Set<Connection>;
  requests: number;
  /** Bytes that it had taken when it was last looked at, and since when there is more for it and it takes none. */
  taken: number;
  movedMs: number;
}

export class HttpListener {
  private readonly server: Server;
  private readonly addresses = new Map<string, Set<Connection>>();
  private readonly connections = new Map<Socket, Connection>();
  private readonly times: HttpTimes;
  private readonly stalls: OwnStalls;
  private readonly places: SocketPlaces;
  private timer: Timer | undefined;

  constructor(private readonly options: HttpListenerOptions) {
    this.times = { ...defaultTimes, ...options.times };
    this.stalls = new OwnStalls(checkMs, options.clock.monotonicMs());
    this.places = options.places ?? processPlaces();
    const { headersMs, requestMs, keepAliveMs } = this.times;
    this.server = createServer({
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: checkMs,
      maxHeaderSize: headerBytesMax,
    });
    this.server.on('connection', (socket) => this.accept(socket));
    this.server.on('request', (request, response) => this.answer(request, response));
  }

  /** The port listened on; the one asked for until `start`. */
  get port(): number {
    const address = this.server.address();
    return typeof address === 'object' && address ? address.port : this.options.port;
  }

  get listening(): boolean {
    return this.server.listening;
  }

  async start(): Promise<void> {
    const { what, host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error) => {
        reject(new MqError('CONFIG', `${what} can't listen on ${host}:${port}: ${error.message}`));
      });
      this.server.listen(port, host, resolve);
    });
    // A connection that could not be taken is its caller's loss: there may be more files to open in a moment.
    this.server.on('error', () => undefined);
  }

  /** Nobody is let in from now on. @returns when all are gone: those that wait for nothing at once, the others when answered */
  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    await closed;
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Those too that wait for an answer. */
  cut(): void {
    this.server.closeAllConnections();
  }

  private accept(socket: Socket): void {
    const key = addressKey(peerText(socket.remoteAddress, socket.remotePort));
    const beside = this.addresses.get(key) ?? new Set<Connection>();
    const { connectionsMax, addressConnectionsMax } = this.options.connections ?? defaultHttpConnections;
    const isFull = this.connections.size >= connectionsMax || this.places.full(placesBeyond);
    if (beside.size >= addressConnectionsMax || (isFull && !this.makeRoom(beside.size))) {
      socket.destroy();
      return;
    }
    const connection = { socket, beside, requests: 0, taken: 0, movedMs: this.options.clock.monotonicMs() };
    this.addresses.set(key, beside.add(connection));
    this.connections.set(socket, connection);
    this.places.take();
    socket.once('close', () => {
      this.leave(connection);
      if (beside.size === 0 && this.addresses.get(key) === beside) this.addresses.delete(key);
    });
    this.arm();
  }

  private makeRoom(newcomers: number): boolean {
    let heaviest: Set<Connection> | undefined;
    for (const each of this.addresses.values()) if (!heaviest || each.size > heaviest.size) heaviest = each;
    if (!heaviest || heaviest.size <= newcomers + 1) return false;
    const newestFirst = [...heaviest].reverse();
    const missedLeast = newestFirst.find(({ requests }) => requests === 0) ?? newestFirst[0];
    if (!missedLeast) return false;
    this.leave(missedLeast);
    missedLeast.socket.destroy();
    return true;
  }

  private leave(connection: Connection): void {
    connection.beside.delete(connection);
    if (this.connections.delete(connection.socket)) this.places.give();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const connection = this.connections.get(socket);
    if (!connection || socket.destroyed) return; // It came behind too many others, in the same packet.
    connection.requests += 1;
    response.once('close', () => {
      connection.requests -= 1;
      // A connection that was busy when stopping began would else be kept for another request.
      setImmediate(() => this.server.listening || this.server.closeIdleConnections());
    });
    if (connection.requests > requestsAtOnceMax) {
      socket.destroy();
      return;
    }
    try {
      this.options.answer(request, response);
    } catch (caught) {
      throwAssertion(caught);
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
  }

  private arm(): void {
    this.timer ??= this.options.clock.after(checkMs, () => this.check());
  }

  private check(): void {
    this.timer = undefined;
    const nowMs = this.options.clock.monotonicMs();
    const stoodStill = this.stalls.stoodStill(nowMs);
    for (const connection of this.connections.values()) {
      const { bytesWritten, writableLength } = connection.socket; // The former counts what is queued, too.
      const taken = bytesWritten - writableLength;
      if (stoodStill || writableLength === 0 || taken !== connection.taken) connection.movedMs = nowMs;
      connection.taken = taken;
      if (nowMs - connection.movedMs > this.times.stalledMs) connection.socket.destroy();
    }
    if (this.connections.size > 0) this.arm();
  }
}
