/**
 * How requests are signed.
 *
 *   MQv2-HMAC-SHA1     official gRPC clients: hex HMAC-SHA1 of the header x-mq-date-time, and of nothing else. Whoever
 *                      reads such a header can use it, as long as its time is taken: use TLS.
 *   COMET-HMAC-SHA256  our own client: hex HMAC-SHA256 of method, time, nonce and body, each taken once.
 *   remoting           base64 HMAC-SHA1 of the sorted values of all fields but the signature, then the body.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { Secret } from './secrets.js';

export const officialAlgorithm = 'MQv2-HMAC-SHA1';
export const ownAlgorithm = 'COMET-HMAC-SHA256';

export interface Authorization {
  readonly algorithm: string;
  readonly user: string;
  /** Hex, in lower case. */
  readonly signature: string;
  readonly nonce: string;
}

/** Undefined: not a word of it can be used. An empty credential counts as none, which is what Python sends. */
export function authorizationIn(header: string): Authorization | undefined {
  const space = header.indexOf(' ');
  if (space < 0) return undefined;
  let user = '';
  let signature = '';
  let nonce = '';
  for (const piece of header.slice(space + 1).split(',')) {
    const equals = piece.indexOf('=');
    const name = piece.slice(0, Math.max(0, equals)).trim();
    const value = piece.slice(equals + 1).trim();
    // Go and C++ add a region and a service behind the access key.
    if (name === 'Credential') user = value.split('/', 1)[0] ?? '';
    else if (name === 'Signature') signature = value.toLowerCase();
    else if (name === 'Nonce') nonce = value;
  }
  if (user === '' || user.length > 128 || !/^[0-9a-f]{2,128}$/.test(signature)) return undefined;
  return { algorithm: header.slice(0, space), user, signature, nonce };
}

export function officialSignature(secret: Secret, dateTime: string): string {
  return createHmac('sha1', secret.reveal()).update(dateTime, 'utf8').digest('hex');
}

export interface SignedRequest {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly dateTime: string;
  readonly nonce: string;
  readonly body: Uint8Array;
}

export function ownSignature(secret: Secret, { path, dateTime, nonce, body }: SignedRequest): string {
  const digest = createHash('sha256').update(body).digest('hex');
  return createHmac('sha256', secret.reveal()).update([path, dateTime, nonce, digest].join('\n'), 'utf8').digest('hex');
}

/** The headers that our own client says who it is by. */
export function ownHeaders(
  user: string,
  secret: Secret,
  { path, body, nowMs }: { readonly path: string; readonly body: Uint8Array; readonly nowMs: number },
): Readonly<Record<string, string>> {
  const dateTime = new Date(nowMs).toISOString();
  const nonce = randomBytes(18).toString('base64url');
  const signature = ownSignature(secret, { path, dateTime, nonce, body });
  return {
    'x-mq-date-time': dateTime,
    authorization: `${ownAlgorithm} Credential=${user}, Nonce=${nonce}, Signature=${signature}`,
  };
}

/** @param fields ext fields as received, unknown ones too */
export function remotingSignature(secret: Secret, fields: ReadonlyMap<string, string>, body: Uint8Array): string {
  const hmac = createHmac('sha1', secret.reveal());
  for (const name of [...fields.keys()].sort()) if (name !== 'Signature') hmac.update(fields.get(name) ?? '', 'utf8');
  return hmac.update(body).digest('base64');
}

/** In the same time wherever they differ. */
export function sameSignature(given: string, expected: string): boolean {
  const a = Buffer.from(given, 'utf8');
  const b = Buffer.from(expected, 'utf8');
  return a.length === b.length && timingSafeEqual(a, b);
}

export interface SignedTime {
  readonly ms: number;
  /** False: the zone is not known. Java, Go, C# and Python write their local time and call it Z. */
  readonly zoned: boolean;
}

const compact = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** Undefined: no time that a client of RocketMQ would write. */
export function signedTime(text: string): SignedTime | undefined {
  const match = compact.exec(text);
  if (match) {
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
    return { ms: Date.UTC(year, month - 1, day, hour, minute, second), zoned: false };
  }
  if (!rfc3339.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : { ms, zoned: true };
}
