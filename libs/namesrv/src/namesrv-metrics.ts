import type { Sample } from '@cometmq/telemetry';

import type { NamesrvService } from './namesrv-service.js';

/** The name service's figures, asked for when somebody looks: as of this instance's copy of the metadata. */
export function* namesrvSamples(service: NamesrvService): Iterable<Sample> {
  yield* service.creations.samples();
  for (const { name, leader, stage } of service.brokerSets()) {
    if (stage === 'gone') continue;
    yield { metric: 'rocketmq_broker_set_led', labels: { broker_set: name }, value: leader === undefined ? 0 : 1 };
  }
}
