import type { Scene } from '../scene.js';

/** What a client can have. The order is that of the table. */
export const featureIds = [
  'send',
  'send-async',
  'round-trip',
  'big-body',
  'ack',
  'redelivery',
  'invisible-duration',
  'competing-consumers',
  'subscribe-later',
  'push',
  'push-retry',
  'dead-letter',
  'tags',
  'sql',
  'fifo',
  'fifo-simple',
  'fifo-retry',
  'fifo-dead-letter',
  'delay',
  'recall',
  'transaction-commit',
  'transaction-rollback',
  'transaction-check',
  'priority',
  'lite-push',
  'lite-simple',
  'unknown-topic',
  'wrong-type',
  'body-too-large',
  'body-empty',
  'reserved-property',
  'delay-too-far',
  'bad-filter',
  'interop',
  'restart',
] as const;
export type FeatureId = (typeof featureIds)[number];

export interface Feature {
  readonly id: FeatureId;
  readonly title: string;
  /** In the short cut too. */
  readonly core?: boolean;
  check(scene: Scene): Promise<void>;
}
