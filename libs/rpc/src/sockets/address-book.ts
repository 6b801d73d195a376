/**
 * Who is connected, by address: how many connections each has, and what they share. An IPv6 address counts as its /64,
 * since whoever has one of those has all. An entry stays until its allowances are whole again, so that going and coming
 * back renews nothing.
 */
import { addressKey } from '@cometmq/shared';
import { MemoryAccount } from '../memory/memory-account.js';
import { Allowance } from './allowance.js';

/** A connection, or what may become one. */
export interface Member {
  /** It can go without harm to its owner. */
  readonly idle: boolean;
  /** It has to make room for another address. */
  displace(): void;
}

export interface AddressLimits {
  readonly connectionsMax: number;
  readonly connectionsPerSecond: number;
  readonly effortBurst: number;
  readonly effortPerSecond: number;
  readonly answerBytesMax: number;
  readonly requestBytesMax: number;
}

export class PeerAddress {
  readonly members = new Set<Member>();

  constructor(
    readonly key: string,
    readonly admissions: Allowance,
    readonly effort: Allowance,
    readonly answers: MemoryAccount,
    readonly requests: MemoryAccount,
    readonly pieces: MemoryAccount,
  ) {}

  get connections(): number {
    return this.members.size;
  }

  whole(nowMs: number): boolean {
    return (
      this.admissions.available(nowMs) >= this.admissions.burst && this.effort.available(nowMs) >= this.effort.burst
    );
  }

  /** The member that is missed least: one that is idle, else the newest. */
  leastMissed(): Member | undefined {
    const newestFirst = [...this.members].reverse();
    return newestFirst.find(({ idle }) => idle) ?? newestFirst[0];
  }
}

export class AddressBook {
  private readonly entries = new Map<string, PeerAddress>();

  constructor(
    private readonly limits: AddressLimits,
    private readonly answers: MemoryAccount,
    private readonly requests: MemoryAccount,
    private readonly pieces: MemoryAccount,
  ) {}

  /** @param peer as `peerText` gives it */
  find(peer: string, nowMs: number): PeerAddress {
    const key = addressKey(peer);
    let entry = this.entries.get(key);
    if (entry === undefined) {
      const { limits } = this;
      entry = new PeerAddress(
        key,
        new Allowance(limits.connectionsMax, limits.connectionsPerSecond, nowMs),
        new Allowance(limits.effortBurst, limits.effortPerSecond, nowMs),
        new MemoryAccount(limits.answerBytesMax, this.answers),
        new MemoryAccount(limits.requestBytesMax, this.requests),
        new MemoryAccount(limits.requestBytesMax, this.pieces),
      );
      this.entries.set(key, entry);
    }
    return entry;
  }

  /** The one with the most connections. */
  heaviest(): PeerAddress | undefined {
    let found: PeerAddress | undefined;
    for (const entry of this.entries.values()) {
      if (found === undefined || entry.connections > found.connections) found = entry;
    }
    return found;
  }

  /** Forgets whom there is nothing to remember of. To be called now and then. */
  sweep(nowMs: number): void {
    for (const [key, entry] of this.entries) {
      if (entry.connections === 0 && entry.whole(nowMs)) this.entries.delete(key);
    }
  }

  get size(): number {
    return this.entries.size;
  }
}
