import type { LogPosition } from '@cometmq/model';
import { failureFacts, type MqError } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

/** A message that can't be read. What is damaged is told once, by the store; here it comes with each attempt, of each message. */
export function tellUnreadable(log: Logger, position: LogPosition, error: MqError): void {
  const level = error.code === 'CORRUPT_RECORD' ? 'debug' : 'error';
  log[level]({ position, ...failureFacts(error) }, 'a stored message can not be read');
}
