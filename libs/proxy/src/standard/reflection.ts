/**
 * gRPC server reflection, so that tools such as grpcurl know what can be called without .proto files. Both versions: they
 * differ by their name alone. It shows what clients may call, and nothing of what our own processes say to one another.
 */
import { fileDescriptorSet, reflection } from '@cometmq/proto';
import { type BidiHandler, type GrpcService, grpcStatus } from '@cometmq/rpc';

import { FileDescriptors } from './file-descriptors.js';

const requestBytesMax = 4_096;
const versions = ['v1', 'v1alpha'];

/** For a server that has these services besides. */
export function reflectionServices(services: readonly GrpcService[]): GrpcService[] {
  const own = versions.map((version) => `grpc.reflection.${version}.ServerReflection`);
  const names = [...services.map(({ name }) => name), ...own].sort();
  const handler = answers(names);
  return own.map((name) => ({ name, methods: { ServerReflectionInfo: { kind: 'bidi', requestBytesMax, handler } } }));
}

function answers(names: readonly string[]): BidiHandler {
  let descriptors: FileDescriptors | undefined; // Read when somebody asks for the first time.
  return (_call, input, out) => {
    input.onMessage((message) => {
      const request = decoded(message);
      if (request === undefined) {
        out.fail(grpcStatus.INVALID_ARGUMENT, 'this is no ServerReflectionRequest');
        return;
      }
      descriptors ??= new FileDescriptors(Buffer.from(fileDescriptorSet, 'base64'));
      const answer = {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answerTo(request, descriptors, names),
      };
      const flowing = out.write(reflection.ServerReflectionResponse.encode(answer).finish());
      if (!flowing) input.pause();
    });
    out.onDrain(() => input.resume());
    input.onEnd(() => out.end());
  };
}

function decoded(message: Uint8Array): reflection.ServerReflectionRequest | undefined {
  try {
    return reflection.ServerReflectionRequest.decode(message);
  } catch {
    return undefined;
  }
}

function answerTo(
  { messageRequest }: reflection.ServerReflectionRequest,
  descriptors: FileDescriptors,
  names: readonly string[],
): reflection.ServerReflectionResponse['messageResponse'] {
  switch (messageRequest?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } };
    case 'fileByFilename':
      return files(descriptors.named(messageRequest.value), messageRequest.value);
    case 'fileContainingSymbol':
      return files(descriptors.declaring(messageRequest.value), messageRequest.value);
    case 'fileContainingExtension':
    case 'allExtensionNumbersOfType':
      return failure(grpcStatus.NOT_FOUND, 'there are no extensions here');
    case undefined:
      return failure(grpcStatus.INVALID_ARGUMENT, 'the request asks for nothing');
  }
}

function files(found: Uint8Array[] | undefined, name: string): reflection.ServerReflectionResponse['messageResponse'] {
  if (found === undefined) return failure(grpcStatus.NOT_FOUND, `there is no "${name}" here`);
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: found } };
}

function failure(errorCode: number, errorMessage: string): reflection.ServerReflectionResponse['messageResponse'] {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
