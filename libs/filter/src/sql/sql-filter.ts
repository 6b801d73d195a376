import type { MessageProperties } from '../properties.js';
import { compile, Verdict, type Program } from './compile.js';
import { parse, type SqlLimits } from './parser.js';
import { print } from './syntax.js';

export const sqlLimits: SqlLimits = { depthMax: 64, termsMax: 512, textsMax: 1024 };

/**
 * A SQL-92 condition over a message's properties. The tag's hash never says anything about it: every message has to be
 * looked at. What is not true, be it false, unknown or not to be judged, is not wanted.
 */
export class SqlFilter {
  readonly all = false;
  readonly hashes: readonly number[] = [];

  private constructor(
    private readonly program: Program,
    readonly cost: number,
    readonly key: string,
  ) {}

  /** @throws MqError ILLEGAL_FILTER_EXPRESSION */
  static parse(source: string): SqlFilter {
    const { expression, terms } = parse(source, sqlLimits);
    return new SqlFilter(compile(expression), 4 + terms, `sql ${print(expression)}`);
  }

  wants(): boolean {
    return true;
  }

  wantsMessage(message: MessageProperties): boolean {
    const { names, judge } = this.program;
    message.seek(names);
    return judge(message) === Verdict.yes;
  }
}
