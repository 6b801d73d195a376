/**
 * The frame of every call that is not hot: decode, check who calls, do, encode, measure. A failure of any kind becomes
 * an answer with nothing but its status, under gRPC's OK: clients lose the code of anything else.
 */
import { decodeCounted, type Status, TooManyFields } from '@cometmq/proto';
import type { CallContext, UnaryHandler, UnaryReply } from '@cometmq/rpc';
import { Malformed, MqError, TooManyWireFields } from '@cometmq/shared';

import { type FrontDoor, RpcMeter, clientIdOf } from '../front-door.js';
import { type Outcome, isInside, ok, outcomeOf, statusOnly } from '../status.js';

/** A generated message's codec. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode: Parameters<typeof decodeCounted<T>>[0]['decode'];
}

/** Who calls, and how. */
export interface Caller {
  readonly clientId: string;
  readonly call: CallContext;
}

export function coldCall<Request, Response extends { status: Outcome | undefined }>(
  door: FrontDoor,
  method: string,
  request: Codec<Request>,
  response: Codec<Response>,
  handle: (request: Request, caller: Caller) => Promise<Response> | Response,
  fieldsMax = door.limits.fieldsMax,
): UnaryHandler {
  const meter = new RpcMeter(method, door);
  return (bytes, call, reply) => {
    const startMs = door.clock.monotonicMs();
    const fail = (caught: unknown): void => answerFailure(door, meter, startMs, reply, caught);
    const succeed = (answer: Response): void => {
      try {
        reply.send(response.encode(answer).finish());
      } catch (caught) {
        fail(caught);
        return;
      }
      meter.done(startMs, answer.status?.code ?? ok.code);
    };
    try {
      const clientId = clientIdOf(call);
      door.sessions.touch(clientId, startMs);
      const answer = handle(decode(door, request, bytes, fieldsMax), { clientId, call });
      if (answer instanceof Promise) answer.then(succeed, fail);
      else succeed(answer);
    } catch (caught) {
      fail(caught);
    }
  };
}

/** @throws MqError BAD_REQUEST */
export function decode<T>(
  door: FrontDoor,
  codec: Pick<Codec<T>, 'decode'>,
  bytes: Uint8Array,
  fieldsMax = door.limits.fieldsMax,
): T {
  try {
    return decodeCounted(codec, bytes, fieldsMax);
  } catch (caught) {
    throw caught instanceof TooManyFields ? tooManyFields(door, caught) : malformed(door);
  }
}

export function malformed(door: FrontDoor): MqError {
  door.counters.malformed += 1;
  return new MqError('BAD_REQUEST', 'the request is no valid protobuf message of this call');
}

function tooManyFields(door: FrontDoor, { message }: Error): MqError {
  door.counters.malformed += 1;
  return new MqError('BAD_REQUEST', `the request holds ${message}; so many are not allowed`);
}

/** Whatever was thrown, as an error that a client may see. What nobody expected goes to the log. */
export function failureOf(door: FrontDoor, what: string, caught: unknown): MqError {
  if (caught instanceof TooManyWireFields) return tooManyFields(door, caught);
  if (caught instanceof Malformed) return malformed(door);
  const error = MqError.from(caught);
  if (isInside(error)) door.parts.log(`${what} failed`, error.cause ?? error);
  return error;
}

export function answerFailure(
  door: FrontDoor,
  meter: RpcMeter,
  startMs: number,
  reply: UnaryReply,
  caught: unknown,
): void {
  const outcome = outcomeOf(failureOf(door, meter.method, caught));
  reply.send(statusOnly(outcome));
  meter.done(startMs, outcome.code);
}

/** The status of an answer that went well. */
export const okStatus = (): Status => ({ ...ok });
