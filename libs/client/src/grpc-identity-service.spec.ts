// Goal: an instance of the name service that takes the question for users and tells nothing keeps nobody out for good.
import { ManualClock } from '@cometmq/shared/testing';
import type { RpcChannel } from '@cometmq/rpc';

import { GrpcIdentityService } from './grpc-identity-service.js';

it('asks the next instance when one has told nothing for ten seconds', () => {
  const clock = new ManualClock();
  const asked: string[] = [];
  const cancelled: string[] = [];
  const connect = (address: string): RpcChannel =>
    ({
      serverStream: () => {
        asked.push(address);
        return { onMessage: () => undefined, onEnd: () => undefined, cancel: () => void cancelled.push(address) };
      },
      close: () => undefined,
    }) as unknown as RpcChannel;
  const service = new GrpcIdentityService({ nameServers: { addresses: ['a:1', 'b:1'] }, connect, clock });
  const stop = service.watch(() => undefined);
  clock.advance(9_000);
  expect(asked).toEqual(['a:1']);
  clock.advance(12_000);
  expect([asked, cancelled]).toEqual([
    ['a:1', 'b:1', 'a:1'],
    ['a:1', 'b:1'],
  ]);
  stop();
  clock.advance(60_000);
  expect(asked).toHaveLength(3);
  expect(clock.timersWaiting).toBe(0);
});
