import type { MessageProperties, PropertyName } from '../properties.js';
import { containing } from './containing.js';
import { toBoolean, toDecimal, toInteger } from './conversions.js';
import { sortOf, type Comparison, type Condition, type Expression, type Property } from './syntax.js';

/**
 * From what an expression says to a function that judges messages. Three-valued logic, and a fourth value for what can't
 * be judged (a text that is no number where one is wanted): it ends the judgement, from left to right, as an exception
 * would, without the price of one.
 */
export const Verdict = { no: 0, yes: 1, unknown: 2, failed: 3 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export interface Program {
  /** What to `seek` before `judge` is called. */
  readonly names: readonly PropertyName[];
  readonly judge: FilterMatch;
}

export type FilterMatch = (properties: MessageProperties) => Verdict;
/** Undefined: unknown. NaN: failed. */
type Reader = (properties: MessageProperties) => number | bigint | undefined;

const { no, yes, unknown, failed } = Verdict;

export function compile(expression: Expression): Program {
  const compiler = new Compiler();
  const judge = compiler.judge(expression);
  return { names: compiler.names, judge };
}

class Compiler {
  readonly names: PropertyName[] = [];
  private readonly slots = new Map<string, number>();

  judge(expression: Expression): FilterMatch {
    switch (expression.kind) {
      case 'property':
        return this.bare(expression);
      case 'boolean':
        return constant(expression.value ? yes : no);
      case 'null':
        return constant(unknown);
      case 'integer':
      case 'decimal':
      case 'text':
      case 'negative':
        return constant(failed); // The parser lets no such thing stand for a condition.
      default:
        return this.condition(expression);
    }
  }

  private condition(expression: Condition): FilterMatch {
    switch (expression.kind) {
      case 'and':
        return all(this.chain(expression, 'and'));
      case 'or':
        return any(this.chain(expression, 'or'));
      case 'not':
        return negated(this.judge(expression.operand));
      case 'compare':
        return expression.operator === '=' || expression.operator === '<>'
          ? this.equal(expression.left, expression.right, expression.operator === '=')
          : this.order(expression.operator, expression.left, expression.right);
      case 'between': {
        const judges = [
          this.order('>=', expression.operand, expression.low),
          this.order('<=', expression.operand, expression.high),
        ];
        return expression.negated ? negated(all(judges)) : all(judges);
      }
      case 'in': {
        const texts = new Set(expression.texts);
        return this.onText(expression.operand, unknown, (text) => texts.has(text) !== expression.negated);
      }
      case 'search': {
        const { text: sought, negated: not, how, operand } = expression;
        if (sought === '') return constant(no); // Nothing is found by an empty text, and nothing is without it.
        const contains = containing(sought);
        const test = (text: string): boolean =>
          (how === 'contains'
            ? contains(text)
            : how === 'startsWith'
              ? text.startsWith(sought)
              : text.endsWith(sought)) !== not;
        return operand.kind === 'text'
          ? constant(verdict(test(operand.value)))
          : this.onText(operand as Property, no, test);
      }
      case 'isNull':
        return this.isNull(expression.operand, expression.negated);
    }
  }

  /** `a AND b AND c` as one row. */
  private chain(expression: Expression, kind: 'and' | 'or'): FilterMatch[] {
    const judges: FilterMatch[] = [];
    let left = expression;
    while (left.kind === kind) {
      judges.push(this.judge(left.right));
      left = left.left;
    }
    judges.push(this.judge(left));
    return judges.reverse();
  }

  private bare(property: Property): FilterMatch {
    const slot = this.slot(property);
    return (properties) => {
      const text = properties.text(slot);
      return text === undefined ? unknown : verdict(toBoolean(text));
    };
  }

  private onText(property: Property, missing: Verdict, test: (text: string) => boolean): FilterMatch {
    const slot = this.slot(property);
    return (properties) => {
      const text = properties.text(slot);
      return text === undefined ? missing : verdict(test(text));
    };
  }

  private isNull(operand: Expression, not: boolean): FilterMatch {
    switch (sortOf(operand)) {
      case 'property': {
        const slot = this.slot(operand as Property);
        return (properties) => verdict((properties.text(slot) === undefined) !== not);
      }
      case 'text':
        return constant(verdict(not));
      case 'number':
        return constant(verdict((operand.kind === 'negative') !== not));
      default: {
        const judge = this.judge(operand);
        return (properties) => {
          const found = judge(properties);
          return found === failed ? failed : verdict((found === unknown) !== not);
        };
      }
    }
  }

  /**
   * With something missing it is as in RocketMQ: on the left it makes the comparison unknown, on the right the two differ, and
   * on both sides they are equal.
   */
  private equal(left: Expression, right: Expression, wanted: boolean): FilterMatch {
    const sorts = [sortOf(left), sortOf(right)];
    if (sorts.includes('number')) {
      const type = numberType(left, right);
      const a = this.number(left, type);
      const b = this.number(right, type);
      return (properties) => {
        const x = a(properties);
        const y = b(properties);
        if (x === undefined || y === undefined) return withMissing(x === undefined, y === undefined, wanted);
        if (isFailed(x) || isFailed(y)) return failed;
        return verdict((!(x < y) && !(x > y)) === wanted);
      };
    }
    if (sorts.includes('condition')) {
      const a = this.judge(left);
      const b = this.judge(right);
      const unlike = right.kind === 'property'; // A text is read as a truth value on the left only.
      return (properties) => {
        const x = a(properties);
        if (x === failed) return failed;
        const y = b(properties);
        if (y === failed) return failed;
        if (x === unknown || y === unknown) return withMissing(x === unknown, y === unknown, wanted);
        return unlike ? failed : verdict((x === y) === wanted);
      };
    }
    if (right.kind === 'text' && left.kind === 'property') return this.equalText(left, right.value, wanted);
    if (left.kind === 'text' && right.kind === 'property') {
      const { value } = left;
      return this.onText(right, verdict(!wanted), (text) => (text === value) === wanted);
    }
    if (left.kind === 'text' && right.kind === 'text')
      return constant(verdict((left.value === right.value) === wanted));
    const a = this.slot(left as Property);
    const b = this.slot(right as Property);
    return (properties) => {
      const x = properties.text(a);
      const y = properties.text(b);
      if (x === undefined || y === undefined) return withMissing(x === undefined, y === undefined, wanted);
      return verdict((x === y) === wanted);
    };
  }

  private equalText(property: Property, wantedText: string, wanted: boolean): FilterMatch {
    const slot = this.slot(property);
    return (properties) => {
      const text = properties.text(slot);
      return text === undefined ? unknown : verdict((text === wantedText) === wanted);
    };
  }

  private order(operator: Comparison, left: Expression, right: Expression): FilterMatch {
    const type = numberType(left, right);
    const a = this.number(left, type);
    const b = this.number(right, type);
    const test = tests[operator];
    return (properties) => {
      const x = a(properties);
      if (x === undefined) return unknown;
      const y = b(properties);
      if (y === undefined) return unknown;
      return isFailed(x) || isFailed(y) ? failed : verdict(test(x, y));
    };
  }

  private number(expression: Expression, type: 'integer' | 'decimal'): Reader {
    switch (expression.kind) {
      case 'integer':
      case 'decimal': {
        const { value } = expression;
        return () => value;
      }
      case 'property': {
        const slot = this.slot(expression);
        const convert = type === 'integer' ? toInteger : toDecimal;
        return (properties) => {
          const text = properties.text(slot);
          return text === undefined ? undefined : convert(text);
        };
      }
      case 'negative': // A text has no negative: as if it were missing.
        return () => undefined;
      default:
        return () => NaN; // The parser lets only these be compared with a number.
    }
  }

  private slot({ name }: Property): number {
    let slot = this.slots.get(name);
    if (slot === undefined) {
      slot = this.names.length;
      this.slots.set(name, slot);
      this.names.push({ text: name, utf8: Buffer.from(name, 'utf8') });
    }
    return slot;
  }
}

/** A property next to an integer is read as one; next to a decimal, or to another property, as a decimal. */
function numberType(left: Expression, right: Expression): 'integer' | 'decimal' {
  return left.kind === 'integer' || right.kind === 'integer' ? 'integer' : 'decimal';
}

const tests: Record<Comparison, (x: number | bigint, y: number | bigint) => boolean> = {
  '=': (x, y) => !(x < y) && !(x > y),
  '<>': (x, y) => x < y || x > y,
  '<': (x, y) => x < y,
  '<=': (x, y) => x <= y,
  '>': (x, y) => x > y,
  '>=': (x, y) => x >= y,
};

function all(judges: readonly FilterMatch[]): FilterMatch {
  return (properties) => {
    let found: Verdict = yes;
    for (let i = 0; i < judges.length; i += 1) {
      const next = (judges[i] as FilterMatch)(properties);
      if (next === no || next === failed) return next;
      if (next === unknown) found = unknown;
    }
    return found;
  };
}

function any(judges: readonly FilterMatch[]): FilterMatch {
  return (properties) => {
    let found: Verdict = no;
    for (let i = 0; i < judges.length; i += 1) {
      const next = (judges[i] as FilterMatch)(properties);
      if (next === yes || next === failed) return next;
      if (next === unknown) found = unknown;
    }
    return found;
  };
}

function negated(judge: FilterMatch): FilterMatch {
  return (properties) => {
    const found = judge(properties);
    return found === yes ? no : found === no ? yes : found;
  };
}

function constant(found: Verdict): FilterMatch {
  return () => found;
}

function verdict(holds: boolean): Verdict {
  return holds ? yes : no;
}

/** Of a comparison by `=` (`wanted`) or `<>`, at least one side of which is missing. */
function withMissing(left: boolean, right: boolean, wanted: boolean): Verdict {
  return left && right ? verdict(wanted) : left ? unknown : verdict(!wanted);
}

function isFailed(value: number | bigint | undefined): boolean {
  return value !== value;
}
