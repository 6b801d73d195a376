import type { BrokerAdmin, Directory, NameService, Peers, SetAdmin } from '@cometmq/client';
import type { Clock } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

/** What the routes stand on. */
export interface AdminContext {
  /** The truth: everything that is changed is changed here. */
  readonly nameService: NameService;
  /** This process's copy of it: everything that is shown is read here. */
  readonly directory: Directory;
  readonly brokers: BrokerAdmin;
  /** Members of broker sets, each at its own address; left out: the one there is lives in this process. */
  readonly peers?: Peers | undefined;
  /** What operators say of broker sets; left out with `peers`. */
  readonly sets?: SetAdmin | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the name service or a broker may take. */
  readonly requestMsMax: number;
}
