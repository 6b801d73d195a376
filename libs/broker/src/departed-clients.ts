import type { SessionReport } from '@cometmq/client';

import { sessionMsMax } from './member-sessions.js';

/** More than these are not remembered, the oldest first: anybody may say good-bye under any name. */
export const departedMax = 100_000;

/**
 * Clients that said good-bye to one proxy: the others may go on reporting them until they notice. They stay gone until
 * they ask for something themselves, or nobody could be reporting them any more.
 */
export class DepartedClients {
  private readonly sinceMs = new Map<string, number>();

  gone(clientId: string, nowMs: number): void {
    this.sinceMs.delete(clientId); // The newest are the last.
    this.sinceMs.set(clientId, nowMs);
    if (this.sinceMs.size <= departedMax) return;
    for (const oldest of this.sinceMs.keys()) {
      this.sinceMs.delete(oldest);
      return;
    }
  }

  back(clientId: string): void {
    if (this.sinceMs.size > 0) this.sinceMs.delete(clientId);
  }

  /** The report without those who are gone. */
  living(report: SessionReport): SessionReport {
    if (this.sinceMs.size === 0) return report;
    const here = ({ clientId }: { readonly clientId: string }): boolean => !this.sinceMs.has(clientId);
    return { ...report, sessions: report.sessions.filter(here), producers: report.producers.filter(here) };
  }

  sweep(nowMs: number): void {
    for (const [clientId, sinceMs] of this.sinceMs) {
      if (nowMs - sinceMs > 2 * sessionMsMax) this.sinceMs.delete(clientId);
    }
  }
}
