import type { FilterExpression } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { TagFilter } from './tag-filter.js';

/**
 * What a subscription's expression has become: asked for every message that a member might get. Compiled once a
 * subscription. A message is judged in two steps: by the hash of its tag, which the queue's index has, and, before it is
 * delivered, exactly, by what is stored with it.
 */
export interface Filter {
  /** True: every message is wanted, whatever it says. */
  readonly all: boolean;
  /** The hashes of the tags that may be wanted; means nothing where `all`. */
  readonly hashes: readonly number[];
  /** By hash; 0: the message has no tag. True may be a mistake (two tags, one hash), false never is. */
  wants(tagHash: number): boolean;
  /** By the tag itself, UTF-8; empty: the message has no tag. */
  wantsExact(tag: Uint8Array): boolean;
  /** True: the tag alone doesn't say; the message's properties must be read. */
  readonly needsProperties: boolean;
  /** Equal for expressions that want the same. */
  readonly key: string;
}

/** Longer expressions are refused before they are looked at. */
export const expressionLengthMax = 32_768;

/** @throws MqError ILLEGAL_FILTER_EXPRESSION, UNSUPPORTED */
export function compileFilter(expression: FilterExpression): Filter {
  if (expression.expression.length > expressionLengthMax) {
    throw new MqError(
      'ILLEGAL_FILTER_EXPRESSION',
      `the filter expression has ${expression.expression.length} characters, at most ${expressionLengthMax} are allowed`,
    );
  }
  if (expression.type === 'sql') {
    throw new MqError('UNSUPPORTED', 'SQL-92 filter expressions are not supported yet; use a tag expression');
  }
  return TagFilter.parse(expression.expression);
}
