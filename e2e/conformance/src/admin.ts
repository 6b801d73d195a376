/** What the checks need of the REST API: topics and groups. */
import type { RetryPolicy } from '@cometmq/model';

export type TopicType = 'normal' | 'fifo' | 'delay' | 'transaction' | 'priority' | 'lite' | 'mixed';

export interface TopicDraft {
  readonly name: string;
  readonly type: TopicType;
}

export interface GroupDraft {
  readonly name: string;
  readonly fifo?: boolean;
  /** Makes it a group of lite topics: those of this topic. */
  readonly lite?: { readonly topic: string; readonly exclusive?: boolean; readonly clientQuota?: number };
  readonly attemptsMax?: number;
  readonly retryPolicy?: RetryPolicy;
}

/** A connection that was kept may be closed by the server just as it is used again: minutes lie between two requests. */
const alone = { connection: 'close' };

export class Admin {
  /** @param base such as http://127.0.0.1:8082 */
  constructor(private readonly base: string) {}

  createTopic(draft: TopicDraft): Promise<void> {
    return this.post('topics', draft);
  }

  createGroup(draft: GroupDraft): Promise<void> {
    return this.post('groups', draft);
  }

  async hasTopic(name: string): Promise<boolean> {
    return (await fetch(`${this.base}/api/v1/topics/${encodeURIComponent(name)}`, { headers: alone })).ok;
  }

  private async post(what: string, body: object): Promise<void> {
    const answer = await fetch(`${this.base}/api/v1/${what}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...alone },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${what} ${JSON.stringify(body)}: ${answer.status} ${await answer.text()}`);
  }
}
