import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';

import { hostAndPort, type Clock, type Component, type Timer } from '@cometmq/shared';

const everyMs = 3_000;
const turns = 1_000;

/** Whom a client of the name service asks. */
export interface NameServersNow {
  /** host:port of each instance, as of now; never none. */
  readonly addresses: readonly string[];
}

export interface NameServersOptions {
  /** host:port, as they are set. */
  readonly addresses: readonly string[];
  readonly clock: Clock;
  /** IP addresses of a host's name. @throws where nobody knows any */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  /** From 0 to below 1: which of several comes first. Left out: by chance, so that processes spread over them. */
  readonly turn?: number;
}

/**
 * Where the instances of the name service are. A name that stands for several of them, as that of a headless service does, is taken
 * apart, and looked at again all the time: each instance is known for itself, so that one whose machine is gone, and that
 * says nothing, can be told from the others. What was known last stays while nobody answers.
 */
export class NameServers implements Component, NameServersNow {
  readonly name = 'name servers';
  /** By address as it is set: host:port of each, in an order that does not change. */
  private readonly found = new Map<string, readonly string[]>();
  private timer: Timer | undefined;
  private stopped = false;

  private readonly turn: number;

  constructor(private readonly options: NameServersOptions) {
    this.turn = options.turn ?? randomInt(turns) / turns;
  }

  /** host:port of each that is known now; never empty. */
  get addresses(): readonly string[] {
    return this.options.addresses.flatMap((address) => this.found.get(address) ?? [address]);
  }

  /** Doesn't wait: until a name is taken apart it is used as it is. */
  start(): Promise<void> {
    void this.look();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    return Promise.resolve();
  }

  private async look(): Promise<void> {
    await Promise.all(this.options.addresses.map((address) => this.takeApart(address)));
    if (!this.stopped) this.timer = this.options.clock.after(everyMs, () => void this.look());
  }

  private async takeApart(address: string): Promise<void> {
    const { host, port } = hostAndPort(address) ?? {};
    // This machine has several addresses by that name, and one instance.
    if (host === undefined || host === 'localhost' || isIP(host) !== 0) return;
    const all = await this.options.lookUp(host).catch(() => []);
    const family = isIP(all[0] ?? '');
    const sorted = [...new Set(all)].filter((ip) => isIP(ip) === family).sort(); // Of one that has both kinds, one.
    const first = Math.floor(this.turn * sorted.length);
    const each = [...sorted.slice(first), ...sorted.slice(0, first)].map(
      (ip) => `${isIP(ip) === 6 ? `[${ip}]` : ip}:${port}`,
    );
    // Who was alone may be one address for many; who was one of several is known by its own.
    if (each.length > 1 || (each.length === 1 && this.found.has(address))) this.found.set(address, each);
  }
}
