import type { Clock } from '@cometmq/shared';
import type { ProcessTls } from '../tls/process-tls.js';
import { GrpcJsChannel } from './grpc-js-channel.js';

/** How one of our processes connects to the others, by what they are. @param tls undefined: in plain text */
export function processChannels(
  tls: ProcessTls | undefined,
  clock: Clock,
): Readonly<Record<'namesrv' | 'broker', (address: string) => GrpcJsChannel>> {
  const to = (role: 'namesrv' | 'broker') => (address: string) =>
    new GrpcJsChannel({ address, clock, tls: tls && { process: tls, to: role } });
  return { namesrv: to('namesrv'), broker: to('broker') };
}
