/** A service for specs that does one of everything. */
import { grpcStatus } from '../grpc-server.js';
import type { CallContext, GrpcService } from '../grpc-server.js';

export interface EchoNotes {
  /** Unary and streaming calls that were cancelled. */
  cancelled: number;
  calls: CallContext[];
  /** What was said of the answers of `Stream`. */
  arrivals?: boolean[];
  /** Answers that `Heavy` has made. */
  made: number;
}

export const newEchoNotes = (): EchoNotes => ({ cancelled: 0, calls: [], made: 0 });

export const shortBytesMax = 100;

export function echoService(notes: EchoNotes): GrpcService {
  const note = (call: CallContext): void => {
    notes.calls.push(call);
    call.onCancel(() => (notes.cancelled += 1));
  };
  return {
    name: 'test.Echo',
    methods: {
      Echo: {
        kind: 'unary',
        handler: (request, call, reply) => {
          notes.calls.push(call);
          reply.send(request);
        },
      },
      /** Echo and Chat that take little. */
      Short: { kind: 'unary', requestBytesMax: shortBytesMax, handler: (request, _call, reply) => reply.send(request) },
      ShortChat: {
        kind: 'bidi',
        requestBytesMax: shortBytesMax,
        handler: (_call, input, out) => input.onMessage((message) => void out.write(message)),
      },
      /** The request in chunks of a third. */
      Chunks: {
        kind: 'unary',
        handler: (request, _call, reply) => {
          const third = Math.ceil(request.length / 3);
          reply.send([request.subarray(0, third), request.subarray(third, 2 * third), request.subarray(2 * third)]);
        },
      },
      Fail: {
        kind: 'unary',
        handler: (request, _call, reply) => {
          reply.fail(grpcStatus.NOT_FOUND, Buffer.from(request).toString(), 'TOPIC_NOT_FOUND');
        },
      },
      Throw: {
        kind: 'unary',
        handler: () => {
          throw new Error('the secret of the system');
        },
      },
      ThrowChat: {
        kind: 'bidi',
        handler: (_call, input) => {
          input.onMessage(() => {
            throw new Error('the secret of the system');
          });
        },
      },
      /** Never answers. */
      Hang: { kind: 'unary', handler: (_request, call) => note(call) },
      HangStream: { kind: 'serverStream', handler: (_request, call) => note(call) },
      /** `count u32, bytes u32`: so many messages of so many bytes, as fast as they go. */
      Stream: {
        kind: 'serverStream',
        handler: (request, call, out) => {
          note(call);
          out.onArrival((arrived) => notes.arrivals?.push(arrived));
          const view = Buffer.from(request);
          const count = view.readUInt32BE(0);
          const body = Buffer.alloc(view.readUInt32BE(4), 7);
          let sent = 0;
          const pour = (): void => {
            while (sent < count && out.open) {
              sent += 1;
              if (!out.write(body) && sent < count) return;
            }
            if (sent === count) out.end();
          };
          out.onDrain(pour);
          pour();
        },
      },
      /** `bytes u32`: an answer of so many bytes, made when there is room for it. */
      Heavy: {
        kind: 'unary',
        handler: (request, call, reply) => {
          note(call);
          const bytes = Buffer.from(request).readUInt32BE(0);
          const make = (): void => {
            notes.made += 1;
            reply.send(Buffer.alloc(bytes, 7));
          };
          if (call.reserve(bytes, make)) make();
        },
      },
      Chat: {
        kind: 'bidi',
        handler: (call, input, out) => {
          note(call);
          input.onMessage((message) => {
            if (message.length === 1 && message[0] === 0xff) out.fail(grpcStatus.ABORTED, 'as asked', 'CONFLICT');
            else out.write(message);
          });
          input.onEnd(() => out.end());
        },
      },
      /** Takes nothing in, for ever. */
      Deaf: {
        kind: 'bidi',
        handler: (call, input) => {
          note(call);
          input.pause();
          input.onMessage(() => undefined);
        },
      },
    },
  };
}

/** The request of `Stream`. */
export function streamRequest(count: number, bytes: number): Buffer {
  const request = Buffer.alloc(8);
  request.writeUInt32BE(count, 0);
  request.writeUInt32BE(bytes, 4);
  return request;
}
