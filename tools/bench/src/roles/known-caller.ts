/**
 * The CPU time that a caller who is known adds to a call, by itself: its headers are read, its signature is looked up, and whether it
 * may is decided; beside a call whose caller nobody asks for. Both in one process, in turn, so that they meet the same neighbours.
 */
import { Authenticator, IdentityBook, producerTemplate, Secret, SecretBox, type SignedCall } from '@cometmq/auth';
import type { User } from '@cometmq/model';
import { HpackDecoder } from '@cometmq/rpc/testing';
import { systemClock as clock } from '@cometmq/shared';

import { HeaderEncoder, type HeaderBlock } from '../load/header-block.js';
import { authorizationOf } from '../load/requests.js';

export interface KnownCallerJob {
  readonly calls: number;
}

export interface KnownCallerFigures {
  readonly nobodyMicros: number;
  readonly userMicros: number;
  /** One HMAC-SHA1 and what it is put into: what a call costs that is signed anew. */
  readonly signatureMicros: number;
}

const rounds = 15;
const path = '/apache.rocketmq.v2.MessagingService/SendMessage';
const secret = 'the-secret-of-the-user';
const topic = 'orders';

export async function measureKnownCaller({ calls }: KnownCallerJob): Promise<KnownCallerFigures> {
  const authenticator = await authenticatorOf();
  const now = new Date(clock.wallMs()).toISOString().replace(/[-:]|\.\d+/g, '');
  const authorization = authorizationOf({ name: 'load', secret })(now);
  const body = new Uint8Array(0);
  const peer = '127.0.0.1:4711';
  const fresh = [
    ['x-mq-date-time', now],
    ['x-mq-request-id', '0'.repeat(36)],
  ] as const;
  const nobody = new Connection(fresh);
  const user = new Connection([...fresh, ['authorization', authorization]]);
  const nobodyCalls = (): void => {
    for (let i = 0; i < calls; i += 1) nobody.call(i);
  };
  const userCalls = (): void => {
    for (let i = 0; i < calls; i += 1) {
      const call: SignedCall = { headers: user.call(i), peer };
      authenticator.principalOf(call, path, body).need(['pub'], 'topic', topic, peer);
    }
  };
  const signatures = (): void => {
    for (let i = 0; i < calls / 10; i += 1) authorizationOf({ name: 'load', secret })(now);
  };
  const found = { nobodyMicros: Infinity, userMicros: Infinity, signatureMicros: Infinity };
  for (let round = 0; round < rounds; round += 1) {
    found.nobodyMicros = Math.min(found.nobodyMicros, microsOf(nobodyCalls) / calls);
    found.userMicros = Math.min(found.userMicros, microsOf(userCalls) / calls);
    found.signatureMicros = Math.min(found.signatureMicros, microsOf(signatures) / (calls / 10));
  }
  return found;
}

/** Headers of one client's calls, written by a client's side and read by a server's. */
class Connection {
  private readonly decoder = new HpackDecoder({ tableBytesMax: 4_096, listBytesMax: 16_384 });
  private readonly block: HeaderBlock;

  constructor(fresh: readonly (readonly [string, string])[]) {
    const encoder = new HeaderEncoder();
    const fixed = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', '127.0.0.1:8081'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['x-mq-client-id', 'load@1@0@0'],
      ['x-mq-language', 'GOLANG'],
      ['x-mq-client-version', '5.1.2'],
      ['x-mq-protocol', 'v2'],
    ] as const;
    const first = encoder.encode(fixed, fresh);
    this.decoder.decode(first.bytes, 0, first.bytes.length);
    this.block = encoder.encode(fixed, fresh);
  }

  call(number: number): SignedCall['headers'] {
    const { bytes, holes } = this.block;
    bytes.writeUInt32BE(0x30303030 + (number % 10), (holes.get('x-mq-request-id') ?? 0) + 32); // Another id in each call.
    return this.decoder.decode(bytes, 0, bytes.length);
  }
}

async function authenticatorOf(): Promise<Authenticator> {
  const box = SecretBox.of(SecretBox.newFile('k1'));
  const user: User = {
    ...{ name: 'load', kind: 'normal', enabled: true, secret: box.seal(new Secret(secret), 'load') },
    ...{ secretVersion: 1, createdMs: 0 },
  };
  const entries = [topic, ...Array.from({ length: 9 }, (_, i) => `other-${i}-*`)].flatMap((one) =>
    producerTemplate(one),
  );
  const book = new IdentityBook({
    ...{ box, clock },
    source: {
      watch: (listener) => {
        listener({
          ...{ kind: 'snapshot', revision: 1, source: { clusterId: 'bench', generation: 1, replaced: [] } },
          ...{ users: [user], revoked: [], policies: [{ user: 'load', entries }] },
        });
        return () => undefined;
      },
    },
  });
  await book.start();
  return new Authenticator({ book, clock, ageMsMax: 15 * 60_000, localTimes: true });
}

function microsOf(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return user + system;
}
