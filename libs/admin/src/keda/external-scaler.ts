/**
 * KEDA's external scaler: how many consumers a group needs, by what it has still to do. The scaled object's metadata:
 *
 *   consumerGroup   the group
 *   lagThreshold    messages one consumer may have before it; default 100
 *   activationLag   below or at it the group needs no consumer; default 0
 *
 * Counted is what is kept and not done, in flight included, in all queues: a queue that the group has not begun counts by
 * its start policy. While a broker set does not answer, nothing is said: a number too small would end consumers.
 */
import { lagOfGroup } from '@cometmq/client';
import { printable } from '@cometmq/model';
import { externalScaler } from '@cometmq/proto';
import { answering, grpcStatus, type GrpcService, type MessageSink } from '@cometmq/rpc';
import { MqError, type Timer } from '@cometmq/shared';

import type { AdminContext } from '../api/context.js';
import { askAll } from '../reports/ask-all.js';

type Context = Pick<AdminContext, 'directory' | 'brokers' | 'clock' | 'requestMsMax'>;
type Metadata = ReadonlyMap<string, string> | undefined;

const metricName = 'cometmq-consumer-lag';
const lagThresholdDefault = 100;
/** How often an open stream looks. */
const lookMs = 5_000;

/** `close` ends the streams, which never end by themselves. */
export function externalScalerService(context: Context): GrpcService & { close(): void } {
  const open = new Set<MessageSink>();
  const { clock } = context;
  const isActive = async (metadata: Metadata): Promise<boolean> =>
    (await lagAsked(context, metadata)) > wholeOf(metadata, 'activationLag', 0);
  return {
    close: () => {
      for (const out of open) out.end();
    },
    name: 'externalscaler.ExternalScaler',
    methods: {
      IsActive: {
        kind: 'unary',
        handler: answering(async (bytes) => {
          const { scalerMetadata } = externalScaler.ScaledObjectRef.decode(bytes);
          return externalScaler.IsActiveResponse.encode({ result: await isActive(scalerMetadata) }).finish();
        }),
      },
      StreamIsActive: {
        kind: 'serverStream',
        handler: (bytes, call, out) => {
          const { scalerMetadata } = externalScaler.ScaledObjectRef.decode(bytes);
          let before: boolean | undefined;
          let timer: Timer | undefined;
          const over = (): void => {
            timer?.cancel();
            open.delete(out);
          };
          const look = async (): Promise<void> => {
            const result = await isActive(scalerMetadata);
            if (!out.open) return;
            if (result !== before) out.write(externalScaler.IsActiveResponse.encode({ result }).finish());
            before = result;
            timer = clock.after(lookMs, again);
          };
          const again = (): void => {
            look().catch((caught: unknown) => {
              const { code, reason } = MqError.from(caught);
              over();
              if (out.open) out.fail(grpcStatus.UNAVAILABLE, reason, code);
            });
          };
          open.add(out);
          call.onCancel(over);
          again();
        },
      },
      GetMetricSpec: {
        kind: 'unary',
        handler: answering(async (bytes) => {
          const { scalerMetadata } = externalScaler.ScaledObjectRef.decode(bytes);
          const targetSize = wholeOf(scalerMetadata, 'lagThreshold', lagThresholdDefault);
          const metricSpecs = [{ metricName, targetSize, targetSizeFloat: targetSize }];
          return externalScaler.GetMetricSpecResponse.encode({ metricSpecs }).finish();
        }),
      },
      GetMetrics: {
        kind: 'unary',
        handler: answering(async (bytes) => {
          const { scaledObjectRef } = externalScaler.GetMetricsRequest.decode(bytes);
          const metricValue = await lagAsked(context, scaledObjectRef?.scalerMetadata);
          const metricValues = [{ metricName, metricValue, metricValueFloat: metricValue }];
          return externalScaler.GetMetricsResponse.encode({ metricValues }).finish();
        }),
      },
    },
  };
}

/** @throws MqError BAD_REQUEST, CONSUMER_GROUP_NOT_FOUND, UNAVAILABLE */
async function lagAsked({ directory, brokers, clock, requestMsMax }: Context, metadata: Metadata): Promise<number> {
  const name = metadata?.get('consumerGroup') ?? '';
  if (name === '') throw new MqError('BAD_REQUEST', 'the metadata must name the consumerGroup');
  const group = directory.group(name);
  if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${printable(name)}"`);
  const asked = await askAll(directory, clock, requestMsMax, (set) => brokers.describeGroup(set, group.id));
  const [silent] = asked.missing;
  if (silent)
    throw new MqError('UNAVAILABLE', `broker set ${silent.brokerSet} does not say what is to do: ${silent.detail}`);
  return asked.answers.reduce((sum, { answer }) => sum + lagOfGroup(answer), 0);
}

/** @throws MqError BAD_REQUEST */
function wholeOf(metadata: Metadata, name: string, otherwise: number): number {
  const text = metadata?.get(name);
  if (text === undefined) return otherwise;
  if (!/^\d{1,15}$/.test(text)) throw new MqError('BAD_REQUEST', `${name}: "${printable(text)}" is no whole number`);
  return Number(text);
}
