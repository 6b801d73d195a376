import type { Principal } from '@cometmq/auth';
import type { CallContext } from '@cometmq/rpc';

/** Who calls, and how. */
export interface Caller {
  readonly principal: Principal;
  readonly clientId: string;
  /** `ip:port` */
  readonly peer: string;
  readonly protocol: 'grpc';
  readonly call: CallContext;
  /** Told when a rule refuses what is asked, and why. */
  readonly denied: ((caller: Caller, why: string) => void) | undefined;
}
