/**
 * The first bytes of a connection decide what it is:
 *
 *   PROXY header (where allowed) ─► 0x16: TLS handshake ─► the HTTP/2 preface ─► a connection
 *                                   else: plain text ───┘  HTTP/1 ─► a short answer in HTTP/1
 *
 * Official clients differ in what they try first, so both ways are offered on one port.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { preface } from '../http2/constants.js';
import type { Member, PeerAddress } from './address-book.js';
import { readProxyHeader } from './proxy-protocol.js';

/** `plaintext-only` and `tls-only` close what comes the other way. */
export type ListenMode = 'both' | 'tls-only' | 'plaintext-only';

export interface GreetingHost {
  readonly mode: ListenMode;
  readonly proxyProtocol: boolean;
  readonly secureContext: SecureContext | undefined;
  /** The PROXY header named the caller. False: it is refused. */
  identified(greeting: Greeting, peer: string): boolean;
  /** It speaks HTTP/2; `rest` from `from` on came behind the preface. */
  admitted(greeting: Greeting, socket: Socket, encrypted: boolean, rest: Buffer, from: number): void;
  /** It is closed, or will be. */
  rejected(greeting: Greeting, why: GreetingEnd): void;
}

export type GreetingEnd = 'tls' | 'protocol' | 'slow' | 'displaced' | 'gone';

const tlsHandshakeByte = 0x16;
const http1 = /^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT|TRACE) /;
const http1Answer =
  'HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\nContent-Length: 45\r\nConnection: close\r\n\r\n' +
  'This port speaks gRPC, which needs HTTP/2.  \n';
const http1BytesMin = 8;

export class Greeting implements Member {
  /** Whom it counts for; a balancer's is known only from its header. */
  address: PeerAddress | undefined;
  readonly idle = true;

  private socket: Socket;
  private proxyDue: boolean;
  private kindDue: boolean;
  private early: Buffer | undefined;
  private over = false;
  private readonly onData = (chunk: Buffer): void => this.received(chunk);
  private readonly onClose = (): void => this.gone();

  constructor(
    private readonly raw: Socket,
    private readonly host: GreetingHost,
    readonly startedMs: number,
    public peer: string,
    /** The host shakes hands, and brings what comes of it by `secured`. */
    private encrypted = false,
  ) {
    this.socket = raw;
    this.kindDue = !encrypted;
    this.proxyDue = host.proxyProtocol;
    raw.on('error', () => undefined); // A broken connection is told by 'close'.
    raw.on('close', this.onClose);
    if (!encrypted) raw.on('data', this.onData);
  }

  /** The server stops. */
  abort(): void {
    this.reject('gone');
  }

  tooSlow(): void {
    this.reject('slow');
  }

  displace(): void {
    this.reject('displaced');
  }

  private gone(): void {
    if (this.over) return;
    this.reject(this.encrypted ? 'tls' : 'gone');
  }

  private received(chunk: Buffer): void {
    if (this.over) return;
    let bytes = this.early === undefined ? chunk : Buffer.concat([this.early, chunk]); // At most a few KiB, see below.
    this.early = undefined;
    if (this.proxyDue) {
      const header = readProxyHeader(bytes);
      if (header.kind === 'broken') return this.reject('protocol');
      if (header.kind === 'more') {
        this.early = bytes;
        return;
      }
      this.proxyDue = false;
      if (header.kind === 'found') this.peer = header.peer ?? this.peer;
      if (!this.host.identified(this, this.peer)) return this.reject('gone');
      if (header.kind === 'found') {
        bytes = bytes.subarray(header.length);
        if (bytes.length === 0) return;
      }
    }
    if (this.kindDue) {
      this.kindDue = false;
      if (bytes[0] === tlsHandshakeByte) return this.startTls(bytes);
      if (this.host.mode === 'tls-only') return this.reject('protocol');
    }
    this.readPreface(bytes);
  }

  private startTls(bytes: Buffer): void {
    const { secureContext } = this.host;
    if (secureContext === undefined || this.host.mode === 'plaintext-only') return this.reject('protocol');
    const raw = this.raw;
    raw.off('data', this.onData);
    raw.pause();
    raw.unshift(bytes); // The TLS socket takes what lies in the plain one's buffer first.
    const secure = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: ['h2'] });
    this.encrypted = true;
    this.secured(secure);
  }

  /** What is said from now on is said on this socket. */
  secured(secure: TLSSocket): void {
    this.socket = secure;
    secure.on('error', () => undefined);
    secure.on('close', this.onClose);
    secure.on('data', this.onData);
  }

  private readPreface(bytes: Buffer): void {
    const length = Math.min(bytes.length, preface.length);
    if (bytes.compare(preface, 0, length, 0, length) !== 0) return this.notHttp2(bytes);
    if (length < preface.length) {
      this.early = bytes;
      return;
    }
    this.over = true;
    const { socket } = this;
    socket.off('data', this.onData);
    socket.off('close', this.onClose);
    this.raw.off('close', this.onClose);
    this.host.admitted(this, socket, this.encrypted, bytes, preface.length);
  }

  private notHttp2(bytes: Buffer): void {
    if (bytes.length < http1BytesMin) {
      this.early = bytes;
      return;
    }
    if (!http1.test(bytes.toString('latin1', 0, 16))) return this.reject('protocol');
    this.over = true;
    const { socket } = this;
    socket.off('data', this.onData);
    socket.on('data', () => undefined);
    socket.end(http1Answer, () => socket.destroySoon());
    this.host.rejected(this, 'protocol');
  }

  private reject(why: GreetingEnd): void {
    if (this.over) return;
    this.over = true;
    this.socket.destroy();
    this.raw.destroy();
    this.host.rejected(this, why);
  }
}
