import type { Clock } from '@cometmq/shared';
import { GrpcJsChannel } from '../grpc-js/grpc-js-channel.js';
import type { ProcessTls } from '../tls/process-tls.js';
import { Http2Channel } from './http2-channel.js';

/** How one of our processes connects to the others, by what they are. @param tls undefined: in plain text */
export function processChannels(
  tls: ProcessTls | undefined,
  clock: Clock,
): { readonly namesrv: (address: string) => GrpcJsChannel; readonly broker: (address: string) => Http2Channel } {
  return {
    // A name of several addresses, of which one may be away: grpc-js keeps trying them.
    namesrv: (address) => new GrpcJsChannel({ address, clock, tls: tls && { process: tls, to: 'namesrv' } }),
    broker: (address) => new Http2Channel({ address, clock, tls: tls && { process: tls, to: 'broker' } }),
  };
}
