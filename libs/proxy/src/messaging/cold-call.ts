/**
 * The frame of every call that is not hot: decode, check who calls, do, encode, measure. A failure of any kind becomes
 * an answer with nothing but its status, under gRPC's OK: clients lose the code of anything else.
 */
import { decodeCounted, type Status, TooManyFields } from '@cometmq/proto';
import type { CallContext, UnaryHandler, UnaryReply } from '@cometmq/rpc';
import { Malformed, MqError, TooManyWireFields } from '@cometmq/shared';

import type { Caller } from '../caller.js';
import { type ProxyContext, RpcMeter } from '../proxy-context.js';
import { type Outcome, isInside, ok, outcomeOf, statusOnly } from '../status.js';

/** A generated message's codec. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode: Parameters<typeof decodeCounted<T>>[0]['decode'];
}

export function coldCall<Request, Response extends { status: Outcome | undefined }>(
  context: ProxyContext,
  method: string,
  request: Codec<Request>,
  response: Codec<Response>,
  /** What the request needs. @throws MqError UNAUTHORIZED */
  rule: (caller: Caller, request: Request) => void,
  handle: (request: Request, caller: Caller) => Promise<Response> | Response,
  fieldsMax = context.limits.fieldsMax,
): UnaryHandler {
  const meter = new RpcMeter(method, context);
  return (bytes, call, reply) => {
    const startMs = context.clock.monotonicMs();
    const fail = (caught: unknown): void => answerFailure(context, meter, startMs, reply, caught, call);
    const succeed = (answer: Response): void => {
      try {
        reply.send(response.encode(answer).finish());
      } catch (caught) {
        fail(caught);
        return;
      }
      meter.done(startMs, answer.status?.code ?? ok.code, call);
    };
    try {
      const caller = context.callerOf(meter, call, bytes, startMs);
      const said = decode(context, request, bytes, fieldsMax);
      rule(caller, said);
      const answer = handle(said, caller);
      if (answer instanceof Promise) answer.then(succeed, fail);
      else succeed(answer);
    } catch (caught) {
      fail(caught);
    }
  };
}

/** @throws MqError BAD_REQUEST */
export function decode<T>(
  context: ProxyContext,
  codec: Pick<Codec<T>, 'decode'>,
  bytes: Uint8Array,
  fieldsMax = context.limits.fieldsMax,
): T {
  try {
    return decodeCounted(codec, bytes, fieldsMax);
  } catch (caught) {
    throw caught instanceof TooManyFields ? tooManyFields(context, caught) : malformed(context);
  }
}

export function malformed(context: ProxyContext): MqError {
  context.counters.malformed += 1;
  return new MqError('BAD_REQUEST', 'the request is no valid protobuf message of this call');
}

function tooManyFields(context: ProxyContext, { message }: Error): MqError {
  context.counters.malformed += 1;
  return new MqError('BAD_REQUEST', `the request holds ${message}; so many are not allowed`);
}

/** Whatever was thrown, as an error that a client may see. What nobody expected goes to the log. */
export function failureOf(context: ProxyContext, what: string, caught: unknown): MqError {
  if (caught instanceof TooManyWireFields) return tooManyFields(context, caught);
  if (caught instanceof Malformed) return malformed(context);
  const error = MqError.from(caught);
  if (isInside(error)) context.parts.log(`${what} failed`, error.cause ?? error);
  return error;
}

export function answerFailure(
  context: ProxyContext,
  meter: RpcMeter,
  startMs: number,
  reply: UnaryReply,
  caught: unknown,
  call: CallContext,
): void {
  const outcome = outcomeOf(failureOf(context, meter.method, caught));
  reply.send(statusOnly(outcome));
  meter.done(startMs, outcome.code, call);
}

/** The status of an answer that went well. */
export const okStatus = (): Status => ({ ...ok });
