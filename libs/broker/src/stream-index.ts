import type { SessionReport } from '@cometmq/client';

import { sessionMsMax } from './member-sessions.js';

/** Which proxy can say something to a client, by what the proxies report. Soft state, as all sessions are. */
export class StreamIndex {
  /** In the order of their first report. */
  private readonly proxies = new Map<string, { heardMs: number; readonly clients: Set<string> }>();

  report({ proxyId, sessions, producers }: SessionReport, nowMs: number): void {
    const clients = new Set<string>();
    for (const { clientId, streaming } of sessions) if (streaming) clients.add(clientId);
    for (const { clientId, streaming } of producers) if (streaming) clients.add(clientId);
    this.proxies.set(proxyId, { heardMs: nowMs, clients });
  }

  /** All that hold a stream of the client: it has one at each address it knows. */
  holdersOf(clientId: string): string[] {
    const holders: string[] = [];
    for (const [proxyId, { clients }] of this.proxies) if (clients.has(clientId)) holders.push(proxyId);
    return holders;
  }

  sweep(nowMs: number): void {
    for (const [proxyId, { heardMs }] of this.proxies) {
      if (nowMs - heardMs > sessionMsMax) this.proxies.delete(proxyId);
    }
  }
}
