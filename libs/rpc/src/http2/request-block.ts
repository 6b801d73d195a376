/**
 * Writes the header block of a request (HPACK, RFC 7541): what the static table has by its number, the rest as literals
 * that nobody keeps. A channel's calls are few and long, so a dynamic table would gain nothing.
 */
import { writeLength } from './response-headers.js';

const methodPost = 0x83;
const schemeHttp = 0x86;
const schemeHttps = 0x87;
const nameOfPath = Buffer.of(0x04);
const nameOfAuthority = Buffer.of(0x01);
const nameOfContentType = Buffer.of(0x0f, 31 - 15);

/** gRPC allows eight digits. */
const timeoutMsMax = 99_999_999;

export interface RequestHead {
  readonly path: string;
  readonly authority: string;
  readonly secure: boolean;
  /** How long the caller waits; undefined: for ever. */
  readonly timeoutMs: number | undefined;
  /** ASCII, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export function requestBlock({ path, authority, secure, timeoutMs, headers }: RequestHead): Buffer {
  const parts = [
    Buffer.of(methodPost, secure ? schemeHttps : schemeHttp),
    ...[nameOfPath, text(path), nameOfAuthority, text(authority), nameOfContentType, text('application/grpc')],
    ...literal('te', 'trailers'),
  ];
  if (timeoutMs !== undefined) {
    parts.push(...literal('grpc-timeout', `${Math.min(timeoutMsMax, Math.max(1, Math.ceil(timeoutMs)))}m`));
  }
  for (const [name, value] of Object.entries(headers)) parts.push(...literal(name, value));
  return Buffer.concat(parts);
}

function literal(name: string, value: string): Buffer[] {
  return [Buffer.of(0), text(name), text(value)];
}

function text(value: string): Buffer {
  const bytes = Buffer.alloc(5 + value.length);
  const at = writeLength(bytes, 0, value.length);
  return bytes.subarray(0, at + bytes.write(value, at, 'latin1'));
}
