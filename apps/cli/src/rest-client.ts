import { errorCodes, MqError, pagesOf, type Clock } from '@cometmq/shared';
import type { Missing, Page, Problem } from '@cometmq/admin';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Of a list over all broker sets: with those that did not answer. */
interface Part<T> extends Page<T> {
  readonly missing?: readonly Missing[];
}

/** The administrators' REST API as the command line uses it. Every failure is an MqError with the server's own code. */
export class RestClient {
  constructor(
    private readonly fetch: typeof globalThis.fetch,
    private readonly clock: Clock,
    private readonly url: string,
    private readonly timeoutMs: number,
    /** Asked before each request; undefined: it is nobody's. */
    private readonly token: () => Promise<string | undefined> = () => Promise.resolve(undefined),
    /** Told once of each broker set that did not answer, so that a list lacks what it has. */
    private readonly incomplete: (brokerSet: string, detail: string) => void = () => undefined,
    /** Breaks off what is only read: CANCELLED. What changes something is answered first, so that it is known. */
    private readonly interrupted?: AbortSignal,
  ) {}
  private readonly silent = new Set<string>();

  get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  /** All pages of a list, or as many of them as hold `max` items. */
  async list<T>(path: string, query: Readonly<Record<string, string | undefined>>, max = Infinity): Promise<T[]> {
    const items: T[] = [];
    const ask = (after: string | undefined): Promise<Part<T>> => {
      const limit = String(Math.min(1000, max - items.length));
      const given = Object.entries({ ...query, limit, after }).filter(([, value]) => value !== undefined);
      return this.get<Part<T>>(`${path}?${new URLSearchParams(given as [string, string][]).toString()}`);
    };
    for await (const page of pagesOf(ask)) {
      items.push(...page.items);
      this.tellMissing(page.missing);
      if (items.length >= max) break;
    }
    return items.slice(0, max);
  }

  /** What an answer lacks is never passed over in silence. */
  tellMissing(missing: readonly Missing[] = []): void {
    for (const { brokerSet, detail } of missing) {
      if (this.silent.has(brokerSet)) continue;
      this.silent.add(brokerSet);
      this.incomplete(brokerSet, detail);
    }
  }

  /** Makes a thing, or where `existing` is its path and it is there already, gets that. */
  async make<T>(collection: string, draft: unknown, existing?: string): Promise<T> {
    try {
      return await this.call<T>('POST', collection, draft);
    } catch (caught) {
      if (existing === undefined || MqError.from(caught).code !== 'ALREADY_EXISTS') throw caught;
      return this.get<T>(existing);
    }
  }

  async call<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const abort = new AbortController();
    const timer = this.clock.after(this.timeoutMs, () => abort.abort());
    const breaks = method === 'GET' ? this.interrupted : undefined;
    const breakOff = (): void => abort.abort();
    breaks?.addEventListener('abort', breakOff);
    try {
      if (breaks?.aborted) breakOff();
      const token = await this.token();
      const init: RequestInit = {
        ...{ method, signal: abort.signal, redirect: 'error' },
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      };
      const response = await this.fetch(`${this.url}/api/v1${path}`, init);
      const text = await response.text();
      if (!response.ok) throw problemOf(response.status, text, this.url);
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (caught) {
      if (caught instanceof MqError) throw caught;
      if (breaks?.aborted) throw new MqError('CANCELLED', 'interrupted');
      if (abort.signal.aborted) throw new MqError('TIMEOUT', `${this.url} did not answer within ${this.timeoutMs} ms`);
      if (caught instanceof SyntaxError) throw strange(200, this.url);
      throw new MqError('UNAVAILABLE', `${this.url} can't be reached: ${reasonOf(caught)}`, { cause: caught });
    } finally {
      timer.cancel();
      breaks?.removeEventListener('abort', breakOff);
    }
  }
}

function problemOf(status: number, text: string, url: string): MqError {
  try {
    const { code, detail } = JSON.parse(text) as Partial<Problem>;
    if (typeof detail === 'string') {
      return new MqError(errorCodes.find((each) => each === code) ?? 'INTERNAL', detail);
    }
  } catch {
    // Something else than our API has answered.
  }
  return strange(status, url);
}

function strange(status: number, url: string): MqError {
  const code = status === 404 ? 'NOT_FOUND' : status >= 502 && status <= 504 ? 'UNAVAILABLE' : 'INTERNAL';
  return new MqError(code, `${url} answered ${status}, but not as the REST API of CometMQ does`);
}

/** fetch hides why behind a cause, and where a name has several addresses behind the first of several. */
function reasonOf(caught: unknown): string {
  const { message, cause, errors } = (caught ?? {}) as {
    message?: string;
    cause?: unknown;
    errors?: readonly unknown[];
  };
  if (errors?.[0] !== undefined) return reasonOf(errors[0]);
  return cause === undefined ? message || String(caught) : reasonOf(cause);
}
