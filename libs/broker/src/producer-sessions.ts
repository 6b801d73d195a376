import type { ProducerSession, SessionReport } from '@cometmq/client';
import type { TopicId } from '@cometmq/model';

import { sessionMsMax } from './member-sessions.js';

interface Producer {
  session: ProducerSession;
  heardMs: number;
}

/** Living producers and what they send to, as the proxies report them. Soft state: nothing of it is in the log. */
export class ProducerSessions {
  private readonly producers = new Map<string, Producer>();

  report({ producers }: SessionReport, nowMs: number): void {
    for (const session of producers) this.producers.set(session.clientId, { session, heardMs: nowMs });
  }

  gone(clientId: string): void {
    this.producers.delete(clientId);
  }

  sweep(nowMs: number): void {
    for (const [clientId, { heardMs }] of this.producers) {
      if (nowMs - heardMs > sessionMsMax) this.producers.delete(clientId);
    }
  }

  /** Those that said they send to the topic. */
  *of(topicId: TopicId): Iterable<ProducerSession> {
    for (const { session } of this.producers.values()) if (session.topicIds.includes(topicId)) yield session;
  }

  all(): ProducerSession[] {
    return [...this.producers.values()].map(({ session }) => session);
  }
}
