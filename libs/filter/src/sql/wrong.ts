import { printable } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** The one way to refuse an expression: where it is wrong (characters from 1) and what was expected there. */
export function wrong(at: number, what: string): MqError {
  return new MqError('ILLEGAL_FILTER_EXPRESSION', `the SQL expression is wrong at character ${at + 1}: ${what}`);
}

export function quoted(text: string): string {
  return `"${printable(text)}"`;
}
