/**
 * RpcChannel over our own HTTP/2, for what our processes have most to say over: the log between members, and the link of a
 * proxy to a broker. On the wire it is gRPC like any other.
 */
import { MqError } from '@cometmq/shared';
import type { MessageBytes } from '../grpc-server.js';
import type { CallOptions, DuplexStream, IncomingStream, RpcChannel } from '../rpc-channel.js';
import { ClientConnection } from './client-connection.js';
import type { ConnectionOptions } from './client-connection.js';
import { failedCall } from './failed-call.js';
import { onlyMessageOf } from './only-message.js';

export type Http2ChannelOptions = ConnectionOptions;

/** After a connection could not be made, calls fail at once for so long; twice as long each time. */
const againMsMin = 100;
const againMsMax = 2_000;

export class Http2Channel implements RpcChannel {
  private current: ClientConnection | undefined;
  /** Those that only finish what was begun on them too. */
  private readonly connections = new Set<ClientConnection>();
  private closed = false;
  private failure: MqError | undefined;
  private waitMs = 0;
  private againMs = -Infinity;

  constructor(private readonly options: Http2ChannelOptions) {}

  unary(path: string, request: MessageBytes, options: CallOptions = {}): Promise<Uint8Array> {
    return onlyMessageOf(this.serverStream(path, request, options));
  }

  serverStream(path: string, request: MessageBytes, options: CallOptions = {}): IncomingStream {
    const call = this.begin(path, options);
    call.write(request);
    call.end();
    return call;
  }

  bidi(path: string, options: CallOptions = {}): DuplexStream {
    return this.begin(path, options);
  }

  close(): void {
    this.closed = true;
    for (const connection of [...this.connections]) connection.close();
  }

  private begin(path: string, options: CallOptions): DuplexStream {
    if (this.closed) return failedCall(new MqError('UNAVAILABLE', 'the channel is closed'));
    if (this.current?.takesCalls !== true) {
      if (this.failure !== undefined && this.options.clock.monotonicMs() < this.againMs) {
        return failedCall(this.failure);
      }
      try {
        this.current = this.connect();
      } catch (caught) {
        const error = MqError.from(caught);
        this.failed(error);
        return failedCall(error);
      }
    }
    return this.current.begin(path, options);
  }

  private connect(): ClientConnection {
    let begun = false;
    const connection = new ClientConnection(this.options, {
      begun: () => {
        begun = true;
        this.failure = undefined;
        this.waitMs = 0;
      },
      leaving: () => {
        if (this.current === connection) this.current = undefined;
      },
      closed: (why) => {
        this.connections.delete(connection);
        if (this.current === connection) this.current = undefined;
        if (!begun && !this.closed) this.failed(why);
      },
    });
    this.connections.add(connection);
    return connection;
  }

  private failed(why: MqError): void {
    this.failure = why;
    this.waitMs = Math.min(againMsMax, Math.max(againMsMin, 2 * this.waitMs));
    this.againMs = this.options.clock.monotonicMs() + this.waitMs;
  }
}
