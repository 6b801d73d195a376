/**
 * Looks again and again whether the certificate is another one by now, as who renews it only changes the files. It looks
 * at what they hold, not at notices of the file system: those are missing for mounts and for links that are swapped, as
 * Kubernetes does with secrets. One that can't be served is told and not taken; the one before stays.
 */
import { MqError, throwAssertion } from '@cometmq/shared';
import type { Clock, Timer } from '@cometmq/shared';
import { secureContextOf, validUntilMs } from './tls-context.js';
import type { TlsIdentity } from './tls-identity.js';

export interface IdentityWatchParts {
  /** May throw. */
  readonly load: () => TlsIdentity;
  /** Serves it from now on. @throws MqError where it can't be */
  readonly use: (identity: TlsIdentity) => void;
  readonly clock: Clock;
  readonly tell: Tell;
}

/** A line for the log. */
export type Tell = (level: 'info' | 'warn' | 'error', said: string, facts: Readonly<Record<string, unknown>>) => void;

const lookMs = 10_000;

export class IdentityWatch {
  private timer: Timer | undefined;
  private served = '';
  private hasCertificate = false;
  /** What was wrong at the last look. Told when it is so twice: a certificate may be there before its key is. */
  private fault = '';
  private faultTold = '';

  constructor(private readonly parts: IdentityWatchParts) {}

  /** The first one must do. @throws MqError CONFIG */
  start(): void {
    this.take(this.parts.load());
    this.arm();
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private arm(): void {
    this.timer = this.parts.clock.after(lookMs, () => {
      this.look();
      this.arm();
    });
  }

  private look(): void {
    const { load, clock, tell } = this.parts;
    let found = '';
    try {
      const identity = load();
      found = textOf(identity);
      if (found === this.served) {
        this.fault = '';
        return;
      }
      const until = endOf(identity, this.hasCertificate, clock.wallMs());
      this.take(identity);
      tell('info', 'a renewed TLS certificate is served', { until });
      this.fault = '';
      this.faultTold = '';
    } catch (caught) {
      throwAssertion(caught);
      const reason = caught instanceof Error ? caught.message : String(caught);
      const fault = `${reason}\n${found}`;
      if (fault === this.fault && fault !== this.faultTold) {
        this.faultTold = fault;
        tell('error', 'the new TLS certificate can not be served; the one before stays', { reason });
      }
      this.fault = fault;
    }
  }

  private take(identity: TlsIdentity): void {
    this.parts.use(identity);
    this.served = textOf(identity);
    this.hasCertificate = identity.certPem !== '';
  }
}

const textOf = ({ certPem, keyPem, caPem = '' }: TlsIdentity): string => `${certPem}\n${keyPem}\n${caPem}`;

/** Of a client that shows none, only authorities are renewed. @throws MqError CONFIG where it can't be served, or has ended */
function endOf(identity: TlsIdentity, hadOne: boolean, nowMs: number): string | undefined {
  if (identity.certPem === '' && !hadOne) {
    secureContextOf(identity);
    return undefined;
  }
  const untilMs = validUntilMs(identity.certPem);
  const until = new Date(untilMs).toISOString();
  if (untilMs <= nowMs) throw new MqError('CONFIG', `it has ended on ${until}`);
  secureContextOf(identity);
  return until;
}
