// Goal: KEDA gets the lag, and never a number that would end consumers wrongly. Method: its own protocol over real gRPC, to
// brokers that say known figures.
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { externalScaler } from '@cometmq/proto';
import { GrpcJsChannel } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { systemClock as clock } from '@cometmq/shared';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { externalScalerService } from './external-scaler.js';

const nameService = new FakeNameService({ tellsLate: true });
const brokers = new FakeBrokers();
const directory = new Directory(nameService, clock);
const service = externalScalerService({ directory, brokers, clock, requestMsMax: 60_000 });
const server = new GrpcJsServer({
  ...{ host: '127.0.0.1', port: 0, clock, log: () => undefined },
  services: [service],
});
let channel: GrpcJsChannel;

beforeAll(async () => {
  const set = { epoch: 1, leader: 'a:1', members: [], quorum: 1, stage: 'serving', inSync: [], writable: true };
  for (const name of ['broker-0', 'broker-1']) nameService.putSet({ ...set, name, registeredMs: 1 } as never);
  await directory.start();
  await nameService.createGroup({ name: 'billing' });
  await directory.until(() => directory.group('billing'), 60_000, 'the group');
  await server.start();
  channel = new GrpcJsChannel({ address: `127.0.0.1:${server.port}`, clock });
});
afterAll(async () => {
  channel.close();
  await server.stop();
  await directory.stop();
});
beforeEach(() => {
  brokers.reset();
  for (const name of ['broker-0', 'broker-1']) brokers.states.set(name, {});
});

function lag(ready: number): void {
  const queue = { topicId: 1, queueId: 0, ready, inFlight: 1, blocked: 2 };
  brokers.groups.set(directory.group('billing')!.id, { queues: [queue], members: [] } as never);
}

const refOf = (metadata: Record<string, string>) => ({
  ...{ name: 'o', namespace: 'n', scalerMetadata: new Map(Object.entries(metadata)) },
});
async function ask(method: string, request: Uint8Array): Promise<Uint8Array> {
  return channel.unary(`/externalscaler.ExternalScaler/${method}`, request, {
    deadlineMs: clock.monotonicMs() + 5_000,
  });
}
const isActive = async (metadata: Record<string, string>): Promise<boolean> => {
  const request = externalScaler.ScaledObjectRef.encode(refOf(metadata)).finish();
  return externalScaler.IsActiveResponse.decode(await ask('IsActive', request)).result;
};
const metricOf = async (metadata: Record<string, string>): Promise<number | undefined> => {
  const request = { scaledObjectRef: refOf(metadata), metricName: '' };
  const bytes = await ask('GetMetrics', externalScaler.GetMetricsRequest.encode(request).finish());
  return externalScaler.GetMetricsResponse.decode(bytes).metricValues[0]?.metricValue;
};

it('says the lag of all broker sets, what is in flight included', async () => {
  lag(5);
  expect(await metricOf({ consumerGroup: 'billing' })).toBe(16);
  expect(await isActive({ consumerGroup: 'billing' })).toBe(true);
  expect(await isActive({ consumerGroup: 'billing', activationLag: '16' })).toBe(false);
  const request = externalScaler.ScaledObjectRef.encode(
    refOf({ consumerGroup: 'billing', lagThreshold: '7' }),
  ).finish();
  const { metricSpecs } = externalScaler.GetMetricSpecResponse.decode(await ask('GetMetricSpec', request));
  expect(metricSpecs).toMatchObject([{ targetSize: 7 }]);
});

it('says nothing rather than too little', async () => {
  lag(5);
  brokers.states.delete('broker-1');
  await expect(metricOf({ consumerGroup: 'billing' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

it('tells of a stream at once how it is, and ends it when the program stops', async () => {
  lag(5);
  const request = externalScaler.ScaledObjectRef.encode(refOf({ consumerGroup: 'billing' })).finish();
  const stream = channel.serverStream('/externalscaler.ExternalScaler/StreamIsActive', request);
  const first = await new Promise<Uint8Array>((resolve) => stream.onMessage(resolve));
  expect(externalScaler.IsActiveResponse.decode(first)).toEqual({ result: true });
  const ended = new Promise<void>((resolve) => stream.onEnd(() => resolve()));
  service.close();
  await ended;
});

it.each([[{}], [{ consumerGroup: 'nobody' }], [{ consumerGroup: 'billing', activationLag: 'many' }]])(
  '%j is refused',
  async (metadata) => {
    await expect(isActive(metadata as Record<string, string>)).rejects.toThrow();
  },
);
