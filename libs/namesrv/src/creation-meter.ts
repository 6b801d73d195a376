import { Buckets, metrics, type Sample } from '@cometmq/telemetry';

/** What is made: a topic, one that the system itself needs, or a consumer group. */
export type Creation = 'topic' | 'innerTopic' | 'group';

/** How long it took to make topics and consumer groups, their turn and the store's answer included. Plain numbers for metrics. */
export class CreationMeter {
  private readonly series = new Map<string, Sample & { readonly value: Buckets }>();

  done(what: Creation, isMade: boolean, tookMs: number): void {
    const key = `${what}/${isMade}`;
    let sample = this.series.get(key);
    if (!sample) this.series.set(key, (sample = sampleOf(what, isMade)));
    sample.value.record(tookMs);
  }

  samples(): Iterable<Sample> {
    return this.series.values();
  }
}

function sampleOf(what: Creation, isMade: boolean): Sample & { readonly value: Buckets } {
  const metric =
    what === 'group' ? 'rocketmq_consumer_group_create_execution_time' : 'rocketmq_topic_create_execution_time';
  const labels = {
    invocation_status: isMade ? 'success' : 'failure',
    ...(what !== 'group' && { is_system: String(what === 'innerTopic') }),
  };
  return { metric, labels, value: new Buckets(metrics[metric].buckets) };
}
