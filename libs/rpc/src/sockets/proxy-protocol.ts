/**
 * The PROXY protocol of HAProxy, versions 1 (text) and 2 (binary): a load balancer says in front of everything else
 * whom it speaks for. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import { peerText } from '@cometmq/shared';

export type ProxyHeader =
  /** These bytes are no PROXY header. */
  | { readonly kind: 'none' }
  /** They may become one: come back with more. */
  | { readonly kind: 'more' }
  /** One, but broken. */
  | { readonly kind: 'broken' }
  /** `peer` is undefined where the balancer speaks for itself. */
  | { readonly kind: 'found'; readonly length: number; readonly peer: string | undefined };

const signature1 = Buffer.from('PROXY ', 'latin1');
const signature2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const line1BytesMax = 107;
const head2Bytes = 16;
const body2BytesMax = 2_048;

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsAlike(bytes, signature1)) return bytes.length < signature1.length ? { kind: 'more' } : version1(bytes);
  if (startsAlike(bytes, signature2)) return bytes.length < head2Bytes ? { kind: 'more' } : version2(bytes);
  return { kind: 'none' };
}

/** Equal as far as both go. */
function startsAlike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

function version1(bytes: Buffer): ProxyHeader {
  const end = bytes.indexOf('\r\n');
  if (end < 0) return bytes.length < line1BytesMax ? { kind: 'more' } : { kind: 'broken' };
  if (end > line1BytesMax - 2) return { kind: 'broken' };
  const length = end + 2;
  const [, family, source, , port] = bytes.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { kind: 'found', length, peer: undefined };
  if ((family !== 'TCP4' && family !== 'TCP6') || source === undefined || port === undefined) return { kind: 'broken' };
  if (!/^[0-9a-fA-F.:]+$/.test(source) || !/^\d{1,5}$/.test(port)) return { kind: 'broken' };
  return { kind: 'found', length, peer: peerText(source, Number(port)) };
}

function version2(bytes: Buffer): ProxyHeader {
  const command = bytes[12] ?? 0;
  const family = bytes[13] ?? 0;
  const bodyBytes = bytes.readUInt16BE(14);
  if (command >> 4 !== 2 || (command & 15) > 1 || bodyBytes > body2BytesMax) return { kind: 'broken' };
  const length = head2Bytes + bodyBytes;
  if (bytes.length < length) return { kind: 'more' };
  if ((command & 15) === 0) return { kind: 'found', length, peer: undefined };
  if (family === 0x11 && bodyBytes >= 12) {
    const source = [...bytes.subarray(16, 20)].join('.');
    return { kind: 'found', length, peer: peerText(source, bytes.readUInt16BE(24)) };
  }
  if (family === 0x21 && bodyBytes >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + 2 * i).toString(16));
    return { kind: 'found', length, peer: peerText(groups.join(':'), bytes.readUInt16BE(48)) };
  }
  return { kind: 'found', length, peer: undefined };
}
