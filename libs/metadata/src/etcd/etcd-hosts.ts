import { GRPCDeadlineExceededError, GRPCUnavailableError, type IOptions } from 'etcd3';

import { MqError, type Clock } from '@cometmq/shared';

type Policy = ReturnType<NonNullable<NonNullable<IOptions['faultHandling']>['host']>>;

/** For so long an endpoint that did not answer is asked last; twice as long each time that it does not answer again. */
const asideMsMin = 5_000;
const asideMsMax = 60_000;
/** Above the time that one request may take. */
const tryMs = 2_500;

interface Aside {
  readonly times: number;
  readonly untilMs: number;
  /** It is being asked whether it answers again. */
  readonly trying?: boolean;
}

/**
 * Which of etcd's endpoints did not answer. One whose machine is gone says nothing at all, so that each request to it costs its
 * whole time: it is asked last, and what was under way there is given up. Where no other one answers, all are asked.
 */
export class EtcdHosts {
  private readonly aside = new Map<string, Aside>();

  constructor(
    private readonly hosts: readonly string[],
    private readonly clock: Clock,
    /** Told of one that is set aside. */
    private readonly onAside: (host: string) => void,
  ) {}

  /** It did not answer. */
  failed(host: string): void {
    if (this.hosts.length < 2) return;
    const nowMs = this.clock.monotonicMs();
    const before = this.aside.get(host);
    if (before && nowMs < before.untilMs && before.trying !== true) return;
    const times = (before?.times ?? 0) + 1;
    const forMs = Math.min(asideMsMax, asideMsMin * 2 ** (times - 1));
    this.aside.set(host, { times, untilMs: nowMs + forMs });
    this.onAside(host);
  }

  answered(host: string): void {
    this.aside.delete(host);
  }

  /** One request finds out whether it answers again; others go elsewhere until that is known. */
  private tries(host: string): void {
    const before = this.aside.get(host);
    const nowMs = this.clock.monotonicMs();
    if (before && nowMs >= before.untilMs) this.aside.set(host, { ...before, untilMs: nowMs + tryMs, trying: true });
  }

  isAside(host: string): boolean {
    const nowMs = this.clock.monotonicMs();
    const isAsideNow = (one: string): boolean => nowMs < (this.aside.get(one)?.untilMs ?? 0);
    return isAsideNow(host) && !this.hosts.every(isAsideNow);
  }

  /** What etcd3 does with each request to a host: it is made once, or the next host is asked. */
  policy(host: string): Policy {
    const never = (): { dispose(): void } => ({ dispose: () => undefined });
    const execute = async (
      act: (context: { signal: AbortSignal }) => unknown,
      signal = new AbortController().signal,
    ): Promise<unknown> => {
      // Thrown before anything was asked, so that etcd3 takes the next one.
      if (this.isAside(host)) throw new MqError('UNAVAILABLE', `etcd at ${host} did not answer a moment ago`);
      this.tries(host);
      try {
        const answer = await act({ signal });
        // A stream is there at once, whoever is at its other end.
        if (!isStream(answer)) this.answered(host);
        return answer;
      } catch (caught) {
        // What else is refused was answered.
        if (caught instanceof GRPCUnavailableError || caught instanceof GRPCDeadlineExceededError) this.failed(host);
        throw caught;
      }
    };
    return { onSuccess: never, onFailure: never, execute } as unknown as Policy;
  }
}

function isStream(answer: unknown): boolean {
  return typeof (answer as { readonly cancel?: unknown } | undefined)?.cancel === 'function';
}
