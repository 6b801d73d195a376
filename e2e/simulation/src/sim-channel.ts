import type { GrpcMethod, GrpcService, IncomingStream, RpcChannel } from '@cometmq/rpc';
import { MqError, type Prng } from '@cometmq/shared';
import { FakeCall } from '@cometmq/proxy/testing';

import type { SimProcess } from './sim-clock.js';
import { Wire } from './sim-network.js';

type Options = Parameters<RpcChannel['unary']>[2];

/** A client's connection to a proxy: the real handlers, without a socket. */
export class SimChannel implements RpcChannel {
  private readonly there: Wire;
  private readonly back: Wire;

  constructor(
    private readonly service: () => GrpcService,
    private readonly client: SimProcess,
    chance: Prng,
    private readonly connection: number,
  ) {
    this.there = new Wire(client, chance);
    this.back = new Wire(client, chance);
  }

  unary(path: string, request: Uint8Array, options?: Options): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = this.serverStream(path, request, options);
      let answer: Uint8Array | undefined;
      stream.onMessage((message) => (answer = message));
      stream.onEnd((error) => {
        if (answer && !error) resolve(answer);
        else reject(error ?? new MqError('UNAVAILABLE', 'the call ended without an answer'));
      });
    });
  }

  serverStream(path: string, request: Uint8Array, options: Options = {}): IncomingStream {
    const call = new FakeCall(options.deadlineMs, options.headers ?? {}, this.connection);
    const { client, back } = this;
    let message: (bytes: Uint8Array) => void = () => undefined;
    let end: (error?: MqError) => void = () => undefined;
    let over = false;
    const finish = (error?: MqError): void => {
      if (over) return;
      over = true;
      end(error);
    };
    this.there.send(() => {
      invoke(this.service().methods[path.split('/').at(-1) ?? ''], request, call);
      void call.untilEnd().then(() => {
        back.send(() => {
          if (over) return;
          if (call.failure === undefined) for (const item of call.items) message(item);
          finish(call.failure === undefined ? undefined : new MqError('UNAVAILABLE', `gRPC status ${call.failure}`));
        });
      });
    });
    const { deadlineMs } = options;
    if (deadlineMs !== undefined) {
      client.after(deadlineMs - client.monotonicMs(), () => {
        if (over) return;
        this.there.send(() => call.cancel());
        finish(new MqError('TIMEOUT', 'no answer in time'));
      });
    }
    return {
      onMessage: (act) => void (message = act),
      onEnd: (act) => void (end = act),
      pause: () => undefined,
      resume: () => undefined,
      cancel: () => {
        this.there.send(() => call.cancel());
        finish(new MqError('CANCELLED', 'given up'));
      },
    };
  }

  bidi(): never {
    throw new Error('no client of the simulation keeps a stream open yet');
  }
  close(): void {
    // Nothing is kept.
  }
}

function invoke(method: GrpcMethod | undefined, request: Uint8Array, call: FakeCall): void {
  if (method?.kind === 'unary' || method?.kind === 'serverStream') method.handler(request, call, call);
  else throw new Error('no such method');
}
