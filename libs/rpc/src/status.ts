/**
 * Between MqError and gRPC's status, both ways. Inside the system an error keeps its code over the wire in the trailer
 * `cometmq-code`; the status beside it is for unknownMembers' tools, and for what the transport itself reports.
 */
import { errorCodes, MqError } from '@cometmq/shared';
import type { ErrorCode } from '@cometmq/shared';
import { grpcStatus } from './grpc-server.js';
import type { Failing, GrpcStatusCode, UnaryHandler, UnaryReply } from './grpc-server.js';
import type { CallContext, MessageBytes } from './grpc-server.js';

/** The trailer that carries an MqError's code between our own processes. */
export const codeTrailer = 'cometmq-code';

/** Codes whose status is not INVALID_ARGUMENT (the caller's fault, as most are). */
const statuses: Partial<Record<ErrorCode, GrpcStatusCode>> = {
  UNAUTHORIZED: grpcStatus.UNAUTHENTICATED,
  FORBIDDEN: grpcStatus.PERMISSION_DENIED,
  TOPIC_NOT_FOUND: grpcStatus.NOT_FOUND,
  CONSUMER_GROUP_NOT_FOUND: grpcStatus.NOT_FOUND,
  MESSAGE_NOT_FOUND: grpcStatus.NOT_FOUND,
  OFFSET_NOT_FOUND: grpcStatus.NOT_FOUND,
  NOT_FOUND: grpcStatus.NOT_FOUND,
  ALREADY_EXISTS: grpcStatus.ALREADY_EXISTS,
  UNSUPPORTED: grpcStatus.UNIMPLEMENTED,
  LITE_TOPIC_QUOTA_EXCEEDED: grpcStatus.RESOURCE_EXHAUSTED,
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: grpcStatus.RESOURCE_EXHAUSTED,
  TOO_MANY_REQUESTS: grpcStatus.RESOURCE_EXHAUSTED,
  STORAGE_FULL: grpcStatus.RESOURCE_EXHAUSTED,
  TIMEOUT: grpcStatus.DEADLINE_EXCEEDED,
  UNAVAILABLE: grpcStatus.UNAVAILABLE,
  NOT_LEADER: grpcStatus.FAILED_PRECONDITION,
  STALE_LAYOUT: grpcStatus.FAILED_PRECONDITION,
  CONFLICT: grpcStatus.ABORTED,
  CANCELLED: grpcStatus.CANCELLED,
  CONFIG: grpcStatus.INTERNAL,
  DATA_FOLDER: grpcStatus.INTERNAL,
  METADATA_MISMATCH: grpcStatus.FAILED_PRECONDITION,
  CORRUPT_RECORD: grpcStatus.DATA_LOSS,
  DISK_FAILED: grpcStatus.INTERNAL,
  INTERNAL: grpcStatus.INTERNAL,
};

/** What a status means when no code came with it: then the transport, or a stranger, has spoken. */
const codes: Partial<Record<GrpcStatusCode, ErrorCode>> = {
  [grpcStatus.CANCELLED]: 'CANCELLED',
  [grpcStatus.INVALID_ARGUMENT]: 'BAD_REQUEST',
  [grpcStatus.DEADLINE_EXCEEDED]: 'TIMEOUT',
  [grpcStatus.NOT_FOUND]: 'NOT_FOUND',
  [grpcStatus.ALREADY_EXISTS]: 'ALREADY_EXISTS',
  [grpcStatus.PERMISSION_DENIED]: 'FORBIDDEN',
  [grpcStatus.RESOURCE_EXHAUSTED]: 'TOO_MANY_REQUESTS',
  [grpcStatus.ABORTED]: 'CONFLICT',
  [grpcStatus.OUT_OF_RANGE]: 'BAD_REQUEST',
  [grpcStatus.UNIMPLEMENTED]: 'UNSUPPORTED',
  [grpcStatus.UNAVAILABLE]: 'UNAVAILABLE',
  [grpcStatus.DATA_LOSS]: 'CORRUPT_RECORD',
  [grpcStatus.UNAUTHENTICATED]: 'UNAUTHORIZED',
};

export function statusOf(error: MqError): GrpcStatusCode {
  return statuses[error.code] ?? grpcStatus.INVALID_ARGUMENT;
}

/** `code` is the trailer's text, if there was one; a code this version does not know falls back to the status. */
export function errorOf(status: number, message: string, code?: string, cause?: unknown): MqError {
  const known = errorCodes.find((each) => each === code);
  const fallback = codes[status as GrpcStatusCode] ?? 'INTERNAL';
  const reason = message === '' ? `the call failed with gRPC status ${status}` : message;
  return new MqError(known ?? fallback, reason, cause === undefined ? undefined : { cause });
}

/** Ends a call with what was thrown. A stranger becomes INTERNAL, and its words stay here. */
export function failWith(call: Failing, caught: unknown): void {
  const error = MqError.from(caught);
  call.fail(statusOf(error), error.reason, error.code);
}

/** A unary handler for where a promise a call does not matter: internal and administrative services. */
export function answering(act: (request: Uint8Array, call: CallContext) => Promise<MessageBytes>): UnaryHandler {
  const settle = async (request: Uint8Array, call: CallContext, reply: UnaryReply): Promise<void> => {
    try {
      reply.send(await act(request, call));
    } catch (caught) {
      failWith(reply, caught);
    }
  };
  return (request, call, reply) => void settle(request, call, reply);
}
