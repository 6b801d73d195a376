import { causeText } from '@cometmq/shared';

import type { Logger } from './logger.js';

/** Different ones that are counted. */
const countedMax = 256;
const keyMax = 200;

/**
 * Tells the log of failures that nobody foresaw, with their causes. One that comes over and over is told the first time,
 * the tenth, the hundredth…: a flood of them must not become a flood of lines.
 */
export function unexpectedFailures(log: Logger): (cause: unknown) => void {
  const counts = new Map<string, number>();
  return (cause) => {
    const key = String(cause).slice(0, keyMax);
    const count = (counts.get(key) ?? 0) + 1;
    if (count === 1 && counts.size >= countedMax) counts.clear();
    counts.set(key, count);
    if (isPowerOfTen(count)) log.error({ cause: causeText(cause), count }, 'unexpected failure');
  };
}

function isPowerOfTen(count: number): boolean {
  return /^10*$/.test(String(count));
}
