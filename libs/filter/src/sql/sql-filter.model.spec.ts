import { MqError } from '@cometmq/shared';
import * as fc from 'fast-check';

import { mapProperties } from '../testing.js';
import { compile, Verdict } from './compile.js';
import { parse } from './parser.js';
import {
  print,
  sortOf,
  type Comparison,
  type Condition,
  type Expression,
  type Property,
  type Value,
} from './syntax.js';
import { SqlFilter, sqlLimits } from './sql-filter.js';

const at = 0;
const comparisons: Comparison[] = ['=', '<>', '<', '<=', '>', '>='];
const property: fc.Arbitrary<Property> = fc
  .constantFrom('a', 'b', 'c', '_d$1', 'größe')
  .map((name) => ({ kind: 'property', at, name }));
const text = fc.oneof(
  fc.constantFrom('', 'x', "it's", '1', 'true', '--', '/*'),
  fc.string({ unit: 'binary', maxLength: 6 }),
);
const integer: fc.Arbitrary<Value> = fc
  .oneof(fc.bigInt({ min: -3n, max: 3n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
  .map((n) => ({ kind: 'integer', at, value: Number.isSafeInteger(Number(n)) ? Number(n) : n }));
const decimal: fc.Arbitrary<Value> = fc
  .oneof(fc.constantFrom(0.5, 1, -1, 2.5), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map((value) => ({ kind: 'decimal', at, value }));
const number: fc.Arbitrary<Value> = fc.oneof(
  integer,
  decimal,
  property.map((operand): Value => ({ kind: 'negative', at, operand })),
);
const textValue: fc.Arbitrary<Value> = text.map((value) => ({ kind: 'text', at, value }));
const orderable: fc.Arbitrary<Value> = fc.oneof(property, number);

/** Expressions that the parser lets be, and nothing else. */
const { condition } = fc.letrec<{ condition: Expression; compound: Condition }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    property,
    fc.constantFrom<Expression>({ kind: 'boolean', at, value: true }, { kind: 'boolean', at, value: false }),
    fc.constant<Expression>({ kind: 'null', at }),
    tie('compound'),
  ),
  compound: fc.oneof(
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      at: fc.constant(at),
      left: tie('condition'),
      right: tie('condition'),
    }),
    fc.record({ kind: fc.constant('not' as const), at: fc.constant(at), operand: tie('condition') }),
    fc
      .tuple(
        fc.constantFrom(...comparisons),
        fc.oneof(orderable, textValue, tie('condition')),
        fc.oneof(orderable, textValue, tie('condition')),
      )
      .filter(([operator, left, right]) => canMeet(operator, left, right))
      .map(([operator, left, right]): Condition => ({ kind: 'compare', at, operator, left, right })),
    fc
      .tuple(fc.boolean(), orderable, orderable, orderable)
      .filter(([, , low, high]) => !('value' in low && 'value' in high && low.value > high.value))
      .map(([negated, operand, low, high]): Condition => ({ kind: 'between', at, negated, operand, low, high })),
    fc.record({
      kind: fc.constant('in' as const),
      at: fc.constant(at),
      negated: fc.boolean(),
      operand: property,
      texts: fc.array(text, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({
      kind: fc.constant('search' as const),
      at: fc.constant(at),
      negated: fc.boolean(),
      how: fc.constantFrom('contains' as const, 'startsWith' as const, 'endsWith' as const),
      operand: fc.oneof(property, textValue),
      text,
    }),
    fc.record({
      kind: fc.constant('isNull' as const),
      at: fc.constant(at),
      negated: fc.boolean(),
      operand: fc.oneof(orderable, textValue, tie('condition')),
    }),
  ),
}));

const properties = fc.dictionary(
  fc.constantFrom('a', 'b', 'c', '_d$1', 'größe'),
  fc.oneof(fc.constantFrom('1', '-1', '0', '2.5', 'true', 'FALSE', 'x', "it's", '9223372036854775807'), text),
  { noNullPrototype: true },
);

// Goal: what the compiler makes of an expression is what its words say to RocketMQ. Method: any expression, printed and parsed
// again, against a plain evaluation with exceptions and null. It was held once against RocketMQ's own, expression by expression.
describe('any expression (seed 11)', () => {
  it('means what it says', () => {
    const seen = new Map<Verdict, number>();
    fc.assert(
      fc.property(condition, properties, (expression, texts) => {
        const { names, judge } = compile(parse(print(expression), wide).expression);
        const message = mapProperties(texts);
        message.seek(names);
        const verdict = judge(message);
        seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
        expect({ verdict, of: print(expression) }).toEqual({
          verdict: byTheBook(expression, texts),
          of: print(expression),
        });
      }),
      { seed: 11, numRuns: 5000 },
    );
    expect([...seen.keys()].sort()).toEqual([Verdict.no, Verdict.yes, Verdict.unknown, Verdict.failed]);
  });

  it('is the same after it was printed and parsed', () => {
    fc.assert(
      fc.property(condition, (expression) => {
        const printed = print(expression);
        expect(print(parse(printed, wide).expression)).toBe(printed);
      }),
      { seed: 11, numRuns: 2000 },
    );
  });
});

// Goal: no text is an accident. Method: any words in any order become a filter, or an error that points into the text.
it('any row of words is a filter or a mistake with a place (seed 12)', () => {
  const word = fc.oneof(
    fc.constantFrom(...["'", "''", '(', ')', ',', '=', '<>', '<', '-', '+', '--', '/*', '*/', '.', '5', '1e', 'L']),
    fc.constantFrom(...['NOT', 'and', 'OR', 'IN', 'IS', 'NULL', 'BETWEEN', 'CONTAINS', 'TRUE', 'a', "'x'", '1', '1.5']),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  let parsed = 0;
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), fc.constantFrom('', ' '), (words, between) => {
      const source = words.join(between);
      try {
        SqlFilter.parse(source).wantsMessage(mapProperties({ a: '1' }));
        parsed += 1;
      } catch (caught) {
        expect(caught).toBeInstanceOf(MqError);
        const { code, reason } = caught as MqError;
        expect(code).toBe('ILLEGAL_FILTER_EXPRESSION');
        const place = Number(/at character (\d+):/.exec(reason)?.[1]);
        expect(place).toBeGreaterThanOrEqual(1);
        expect(place).toBeLessThanOrEqual(source.length + 1);
      }
    }),
    { seed: 12, numRuns: 20_000 },
  );
  expect(parsed).toBeGreaterThan(100);
});

const wide = { ...sqlLimits, depthMax: 1000, termsMax: 10_000, textsMax: 10_000 };

function canMeet(operator: Comparison, left: Expression, right: Expression): boolean {
  const sorts = [sortOf(left), sortOf(right)];
  if (sorts.includes('null')) return false;
  const ordered = (sort: string) => sort === 'number' || sort === 'property';
  if (operator !== '=' && operator !== '<>') return sorts.every(ordered);
  return sorts[0] === sorts[1] || sorts.includes('property');
}

class NotToBeMatched extends Error {}
type Texts = Record<string, string>;

function byTheBook(expression: Expression, texts: Texts): Verdict {
  try {
    const value = truth(expression, texts);
    return value === null ? Verdict.unknown : value ? Verdict.yes : Verdict.no;
  } catch (caught) {
    if (caught instanceof NotToBeMatched) return Verdict.failed;
    throw caught;
  }
}

function truth(expression: Expression, texts: Texts): boolean | null {
  switch (expression.kind) {
    case 'property': {
      const found = texts[expression.name];
      return found === undefined ? null : /^true$/i.test(found);
    }
    case 'boolean':
      return expression.value;
    case 'null':
      return null;
    case 'and': {
      const left = truth(expression.left, texts);
      if (left === false) return false;
      const right = truth(expression.right, texts);
      return right === false ? false : left === null || right === null ? null : true;
    }
    case 'or': {
      const left = truth(expression.left, texts);
      if (left === true) return true;
      const right = truth(expression.right, texts);
      return right === true ? true : left === null || right === null ? null : false;
    }
    case 'not':
      return flip(truth(expression.operand, texts));
    case 'compare':
      return compared(expression.operator, expression.left, expression.right, texts);
    case 'between': {
      const low = compared('>=', expression.operand, expression.low, texts);
      const holds = low === false ? false : both(low, compared('<=', expression.operand, expression.high, texts));
      return expression.negated ? flip(holds) : holds;
    }
    case 'in': {
      const found = texts[expression.operand.name];
      return found === undefined ? null : expression.texts.includes(found) !== expression.negated;
    }
    case 'search': {
      const found =
        expression.operand.kind === 'text' ? expression.operand.value : texts[(expression.operand as Property).name];
      const { text: sought, how } = expression;
      if (found === undefined || sought === '') return false;
      const at = how === 'endsWith' ? found.lastIndexOf(sought) : found.indexOf(sought);
      const holds =
        how === 'contains' ? at >= 0 : how === 'startsWith' ? at === 0 : at >= 0 && at === found.length - sought.length;
      return holds !== expression.negated;
    }
    case 'isNull':
      return (valueOf(expression.operand, texts) === null) !== expression.negated;
    default:
      throw new Error('no condition');
  }
}

function both(a: boolean | null, b: boolean | null): boolean | null {
  return a === false || b === false ? false : a === null || b === null ? null : true;
}
function flip(value: boolean | null): boolean | null {
  return value === null ? null : !value;
}

function valueOf(expression: Expression, texts: Texts): string | bigint | number | boolean | null {
  switch (expression.kind) {
    case 'property':
      return texts[expression.name] ?? null;
    case 'text':
    case 'decimal':
      return expression.value;
    case 'integer':
      return BigInt(expression.value);
    case 'negative':
      return null; // A text has no negative.
    default:
      return truth(expression, texts);
  }
}

function decimalOf(found: string): number {
  const java = /^[\0- ]*([+-]?(\d+([.]\d*)?|[.]\d+)([eE][+-]?\d+)?)[dDfF]?[\0- ]*$/.exec(found)?.[1];
  if (java === undefined) throw new NotToBeMatched();
  return Number(java);
}

function integerOf(found: string): bigint {
  if (!/^[+-]?\d+$/.test(found)) throw new NotToBeMatched();
  const value = BigInt(found.replace('+', ''));
  if (BigInt.asIntN(64, value) !== value) throw new NotToBeMatched();
  return value;
}

function compared(operator: Comparison, left: Expression, right: Expression, texts: Texts): boolean | null {
  const readLeft = valueFor(left, right, operator, texts);
  const equals = operator === '=' || operator === '<>';
  if (readLeft === null && !equals) return null;
  const readRight = valueFor(right, left, operator, texts);
  if (readLeft === null && readRight === null && equals) return operator === '=';
  if (readLeft === null) return null;
  if (readRight === null) return equals ? operator === '<>' : null;
  if (equals && sortOf(left) === 'condition' && sortOf(right) === 'property') throw new NotToBeMatched();
  // Both are there: now both have to be readable, the left one first.
  const x = readLeft();
  const y = readRight();
  if (typeof x === 'boolean' || typeof x === 'string') return (x === y) === (operator === '=');
  const order = x < (y as bigint | number) ? -1 : x > (y as bigint | number) ? 1 : 0;
  return { '=': order === 0, '<>': order !== 0, '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[
    operator
  ];
}

/** How a side is read next to the other. Null: it is missing. */
function valueFor(
  side: Expression,
  other: Expression,
  operator: Comparison,
  texts: Texts,
): (() => string | bigint | number | boolean) | null {
  const sort = sortOf(other);
  if (sort === 'condition' || sortOf(side) === 'condition') {
    const value = truth(side, texts);
    return value === null ? null : () => value;
  }
  if (side.kind !== 'property') {
    if (side.kind === 'negative') return null;
    return () => valueOf(side, texts) as string | bigint | number;
  }
  const found = texts[side.name];
  if (found === undefined) return null;
  if (sort === 'text') return () => found;
  if (sort === 'property') return operator === '=' || operator === '<>' ? () => found : () => decimalOf(found);
  return other.kind === 'integer' ? () => integerOf(found) : () => decimalOf(found);
}
