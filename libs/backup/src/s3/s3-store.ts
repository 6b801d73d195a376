/**
 * Objects in a bucket of S3, or of what speaks its protocol. Requests are signed by aws4fetch (signature version 4), each
 * with the checksum of what it carries, so that a server takes nothing that was changed on its way. A part in memory at a
 * time; what fails for a moment is tried again, after a pause, until the store is closed.
 */
import { type Clock, MqError, pagesOf } from '@cometmq/shared';
import type { AwsClient } from 'aws4fetch';

import type { ObjectStore, StoredObject } from '../object-store.js';
import { firstTag, tagsOf } from './s3-answers.js';

export interface S3Options {
  /** Of the server: `https://s3.eu-central-1.amazonaws.com`, `http://minio:9000`. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Where a bucket's name stands in an address: `https://server/bucket/key`, or `https://bucket.server/key`. */
  readonly addressing: S3Addressing;
  /** Begins all keys; empty, or ends in "/". */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly clock: Clock;
}

export type S3Addressing = 'path' | 'virtual-host';

/** Larger objects go up, and come down, in parts of this size. S3 takes no smaller ones, but for the last. */
const partBytes = 8 * 1024 * 1024;
/** S3 takes no more. */
const partsMax = 10_000;
/** About a minute: a run that has read and sent much is not broken off by a server that restarts. */
const attemptsMax = 8;
/** About 4 s: somebody waits for a list. */
const listAttemptsMax = 4;
const pauseMsMin = 250;
const requestMsMax = 60_000;
const listMax = 1_000;

export class S3Store implements ObjectStore {
  private client: Promise<AwsClient> | undefined;
  private readonly closed = new AbortController();

  constructor(private readonly options: S3Options) {}

  async put(key: string, pieces: AsyncIterable<Uint8Array>, bytes: number): Promise<void> {
    if (bytes > partBytes * partsMax)
      throw new MqError('UNSUPPORTED', `${key}: an object of ${bytes} bytes is too large`);
    const parts = partsOf(key, pieces, bytes);
    if (bytes <= partBytes) {
      for await (const part of parts) await this.request('PUT', key, '', part);
      return;
    }
    const uploadId = firstTag((await this.request('POST', key, 'uploads=')).text, 'UploadId');
    if (uploadId === undefined) throw new MqError('UNAVAILABLE', `the bucket began no upload of ${key}`);
    const upload = `uploadId=${encodeURIComponent(uploadId)}`;
    try {
      const etags: string[] = [];
      for await (const part of parts) {
        const { headers } = await this.request('PUT', key, `partNumber=${etags.length + 1}&${upload}`, part);
        etags.push(headers.get('etag') ?? '');
      }
      await this.complete(key, upload, etags);
    } catch (caught) {
      // Else its parts stay, and cost, until the bucket's own rules end it.
      await this.request('DELETE', key, upload).catch(() => undefined);
      throw caught;
    }
  }

  async *get(key: string): AsyncGenerator<Uint8Array> {
    for (let at = 0, total = Infinity; at < total;) {
      const answer = await this.request('GET', key, '', undefined, { range: `bytes=${at}-${at + partBytes - 1}` });
      const piece = answer.bytes;
      const of = /\/(\d+)$/.exec(answer.headers.get('content-range') ?? '');
      total = of ? Number(of[1]) : at + piece.byteLength;
      if (piece.byteLength === 0 && at < total) throw new MqError('UNAVAILABLE', `${key} ended too early`);
      at += piece.byteLength;
      if (piece.byteLength > 0) yield piece;
    }
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const own = this.options.prefix;
    const ask = async (token: string | undefined): Promise<{ readonly text: string; readonly next?: string }> => {
      const more = token === undefined ? '' : `&continuation-token=${encodeURIComponent(token)}`;
      const query = `list-type=2&max-keys=${listMax}&prefix=${encodeURIComponent(own + prefix)}${more}`;
      const { text } = await this.request('GET', undefined, query);
      if (firstTag(text, 'IsTruncated') !== 'true') return { text };
      const next = firstTag(text, 'NextContinuationToken');
      // What is not listed counts as not there.
      if (next === undefined)
        throw new MqError('INTERNAL', 'the bucket says that it lists a part, and not how to go on');
      return { text, next };
    };
    for await (const { text } of pagesOf(ask)) {
      for (const one of tagsOf(text, 'Contents')) {
        const key = firstTag(one, 'Key') ?? '';
        const modifiedMs = Date.parse(firstTag(one, 'LastModified') ?? '');
        if (key.startsWith(own)) yield { key: key.slice(own.length), bytes: Number(firstTag(one, 'Size')), modifiedMs };
      }
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.request('DELETE', key, '');
    } catch (caught) {
      if (!(caught instanceof MqError && caught.code === 'NOT_FOUND')) throw caught;
    }
  }

  close(): void {
    this.closed.abort();
  }

  private async complete(key: string, upload: string, etags: readonly string[]): Promise<void> {
    const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
    const body = Buffer.from(
      `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`,
    );
    // It may fail with 200: the server answers before it knows.
    const { text } = await this.request('POST', key, upload, body);
    const code = text.includes('<Error>') ? firstTag(text, 'Code') : undefined;
    if (code !== undefined) throw new MqError('UNAVAILABLE', `the upload of ${key} could not be completed: ${code}`);
  }

  /** An answer of 2xx. @throws MqError */
  private async request(
    method: string,
    key: string | undefined,
    query: string,
    body: Uint8Array<ArrayBuffer> | undefined = undefined,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const url = this.urlOf(key, query);
    const signed = { ...headers, 'x-amz-content-sha256': await sha256(body ?? new Uint8Array(0)) };
    const attempts = key === undefined ? listAttemptsMax : attemptsMax;
    let failure: MqError | undefined;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      if (attempt > 0) await this.pause(pauseMsMin * 2 ** attempt);
      if (this.closed.signal.aborted) throw new MqError('CANCELLED', 'the broker stops');
      try {
        return await this.once(method, url, body, signed);
      } catch (caught) {
        failure = MqError.from(caught);
        if (!failure.retry) throw failure;
      }
    }
    throw failure ?? new MqError('UNAVAILABLE', 'the bucket does not answer');
  }

  private pause(ms: number): Promise<void> {
    const { signal } = this.closed;
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.options.clock.after(ms, done);
      signal.addEventListener('abort', done);
    });
  }

  private async once(
    method: string,
    url: string,
    body: Uint8Array<ArrayBuffer> | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const { bucket, endpoint } = this.options;
    const client = await (this.client ??= this.open());
    let status: number;
    let answer: Answer;
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(requestMsMax), this.closed.signal]);
      const response = await client.fetch(url, { method, headers, signal, ...(body && { body }) });
      ({ status } = response);
      answer = new Answer(response.headers, new Uint8Array(await response.arrayBuffer()));
    } catch (caught) {
      throw new MqError('UNAVAILABLE', `${endpoint} does not answer${because(caught)}`, { cause: caught });
    }
    if (status >= 200 && status < 300) return answer;
    const { text } = answer;
    const why = [firstTag(text, 'Code'), firstTag(text, 'Message')].filter((part) => part !== undefined);
    const said = `${method} in bucket ${bucket}: ${[status, ...why].join(' ')}`;
    if (status === 404) throw new MqError('NOT_FOUND', said);
    if (status === 401 || status === 403) throw new MqError('FORBIDDEN', said);
    throw new MqError(status >= 500 || status === 429 || status === 408 ? 'UNAVAILABLE' : 'BAD_REQUEST', said);
  }

  private async open(): Promise<AwsClient> {
    const { accessKeyId, secretAccessKey, region } = this.options;
    // Most processes never make a backup.
    const { AwsClient: Client } = await import('aws4fetch');
    return new Client({ accessKeyId, secretAccessKey, region, service: 's3', retries: 0 });
  }

  private urlOf(key: string | undefined, query: string): string {
    const { endpoint, bucket, prefix, addressing } = this.options;
    const path = key === undefined ? '' : (prefix + key).split('/').map(escaped).join('/');
    const server = endpoint.replace(/\/+$/, '');
    const base = addressing === 'path' ? `${server}/${bucket}` : server.replace('://', `://${bucket}.`);
    const slash = key === undefined && addressing === 'path' ? '' : '/';
    return `${base}${slash}${path}${query === '' ? '' : `?${query}`}`;
  }
}

/** All of it: none is larger than a part, or a page of a list. */
class Answer {
  constructor(
    readonly headers: Headers,
    readonly bytes: Uint8Array,
  ) {}

  get text(): string {
    return Buffer.from(this.bytes).toString('utf8');
  }
}

/** Of `partBytes` each, but for the last. @throws MqError BAD_REQUEST where the pieces come to another size */
async function* partsOf(
  key: string,
  pieces: AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  let part = Buffer.allocUnsafeSlow(Math.min(partBytes, bytes));
  let filled = 0;
  let all = 0;
  for await (const piece of pieces) {
    all += piece.byteLength;
    if (all > bytes) break;
    for (let at = 0; at < piece.byteLength;) {
      if (filled === part.byteLength) {
        yield part;
        part = Buffer.allocUnsafeSlow(Math.min(partBytes, bytes - (all - piece.byteLength + at)));
        filled = 0;
      }
      const taken = piece.subarray(at, at + part.byteLength - filled);
      part.set(taken, filled);
      filled += taken.byteLength;
      at += taken.byteLength;
    }
  }
  if (all !== bytes)
    throw new MqError('BAD_REQUEST', `${key}: another size came than the ${bytes} bytes that were told`);
  yield part;
}

/** Not on the thread that serves: a part takes it some milliseconds. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

/** What a failure of `fetch` hides in its cause: a name that is not known, a certificate that is not trusted. */
function because(caught: unknown): string {
  const { cause, name } = caught as {
    readonly cause?: { readonly message?: string; readonly code?: string };
    readonly name?: string;
  };
  if (name === 'TimeoutError') return `: not in ${requestMsMax} ms`;
  const why = cause?.message || cause?.code; // Of several addresses that were tried there is a code alone.
  return why === undefined ? '' : `: ${why}`;
}

/** As signatures want it: encodeURIComponent leaves five more as they are. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
