/** What the checks need of the REST API: topics, groups, and a user to be. */
import type { RetryPolicy } from '@cometmq/model';

import { until } from '../../support/until.js';
import type { ClientUser } from './process-driver.js';

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
  private token: string | undefined;

  /** @param base such as http://127.0.0.1:8082 */
  constructor(private readonly base: string) {}

  /** From now on as this user, as soon as it is known there. */
  async login(user: string, secret: string): Promise<void> {
    await until('the admin is let in', async () => {
      const answer = await fetch(`${this.base}/api/v1/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...alone },
        body: JSON.stringify({ user, secret }),
      });
      if (answer.ok) this.token = ((await answer.json()) as { token: string }).token;
      return answer.ok;
    });
  }

  /** A user that may send to and receive from all topics, and nothing else. */
  async createClientUser(name: string): Promise<ClientUser> {
    const draft = { name, produce: ['*'], consume: [{ topics: '*', group: '*' }] };
    const { secret } = (await (await this.post('users', draft)).json()) as { secret: string };
    return { accessKey: name, secret };
  }

  async createTopic(draft: TopicDraft): Promise<void> {
    await this.post('topics', draft);
  }

  async createGroup(draft: GroupDraft): Promise<void> {
    await this.post('groups', draft);
  }

  async hasTopic(name: string): Promise<boolean> {
    return (await fetch(`${this.base}/api/v1/topics/${encodeURIComponent(name)}`, { headers: this.headers() })).ok;
  }

  private headers(): Record<string, string> {
    return { ...alone, ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }) };
  }

  private async post(what: string, body: object): Promise<Response> {
    const answer = await fetch(`${this.base}/api/v1/${what}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.headers() },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${what} ${JSON.stringify(body)}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}
