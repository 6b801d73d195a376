/**
 * The time between "stop" and stopping, in which a proxy serves on as before. Clients that reach proxies by names which stand for
 * all of them go on using the addresses that DNS gave them: the resolver of the cluster, the client's machine (a JVM for 30 s)
 * and its gRPC library (for 30 s) keep them each for a while. Without the proxy's answer they would wait for an address that is
 * gone; with it they are told to connect anew (GOAWAY) when whatever they ask names those that stay.
 */
import { type Clock, type Component, millis } from '@cometmq/shared';

export const drainSettings = {
  drainMs: millis({
    default: 0,
    min: 0,
    max: 3_600_000,
    why: 'How long it serves on once it is told to stop, for clients that still have its address from DNS; then they are told to connect anew. It stops before when no client has been connected for 5 s.',
  }),
};

const lookMs = 500;
/** As long without a connection: nobody is about to come back. */
const quietMs = 5_000;

export interface DrainParts {
  readonly drainMs: number;
  readonly clock: Clock;
  /** Open connections of clients. */
  readonly connections: () => number;
  /** Told when it begins. */
  readonly tell: (facts: { readonly drainMs: number; readonly connections: number }) => void;
}

/** Stops before the port for clients does, and takes its time for that. */
export class Drain implements Component {
  readonly name = 'drain';
  private draining = false;

  constructor(private readonly parts: DrainParts) {}

  /** Why new clients shall go elsewhere; undefined: they need not. */
  unready(): string | undefined {
    return this.draining ? 'it is about to stop' : undefined;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    const { drainMs, clock, connections, tell } = this.parts;
    this.draining = true;
    if (drainMs === 0) return;
    tell({ drainMs, connections: connections() });
    const beganMs = clock.monotonicMs();
    let seenMs = beganMs;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        const nowMs = clock.monotonicMs();
        if (connections() > 0) seenMs = nowMs;
        if (nowMs - beganMs >= drainMs || nowMs - seenMs >= quietMs) resolve();
        else clock.after(lookMs, look);
      };
      look();
    });
  }
}
