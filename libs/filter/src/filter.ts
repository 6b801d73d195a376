import type { FilterExpression } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { MessageProperties } from './properties.js';
import { SqlFilter } from './sql/sql-filter.js';
import { TagFilter } from './tag-filter.js';

/**
 * What a subscription's expression has become: asked for every message that a member might get. Compiled once a
 * subscription. A message is judged in two steps: by the hash of its tag, which the queue's index has, and, before it is
 * delivered, by the message itself.
 */
export interface Filter {
  /** True: every message is wanted, whatever it says. */
  readonly all: boolean;
  /** The hashes of the tags that may be wanted. Empty where `all`, and where the tag alone never says. */
  readonly hashes: readonly number[];
  /** By hash; 0: the message has no tag. True may be a mistake, false never is. */
  wants(tagHash: number): boolean;
  /** By the message itself. The last word. */
  wantsMessage(message: MessageProperties): boolean;
  /** What judging one message costs, in looks at an index entry. */
  readonly cost: number;
  /** Equal for expressions that want the same. */
  readonly key: string;
}

/** Longer expressions are refused before they are looked at. */
export const expressionLengthMax = 32_768;

/** @throws MqError ILLEGAL_FILTER_EXPRESSION */
export function compileFilter(expression: FilterExpression): Filter {
  if (expression.expression.length > expressionLengthMax) {
    throw new MqError(
      'ILLEGAL_FILTER_EXPRESSION',
      `the filter expression has ${expression.expression.length} characters, at most ${expressionLengthMax} are allowed`,
    );
  }
  return expression.type === 'sql' ? SqlFilter.parse(expression.expression) : TagFilter.parse(expression.expression);
}
