import { type MqError } from '@cometmq/shared';

import { compileFilter } from '../filter.js';
import { mapProperties } from '../testing.js';
import { sqlLimits } from './sql-filter.js';

const sqlFilter = (expression: string) => compileFilter({ type: 'sql', expression });
const wants = (expression: string, properties: Record<string, string> = {}) =>
  sqlFilter(expression).wantsMessage(mapProperties(properties));

const order = {
  region: 'EU',
  price: '25',
  weight: '1.5',
  paid: 'true',
  note: "it's here",
  TAGS: 'Order',
  big: '9007199254740993',
};

describe('what SQL expressions mean', () => {
  it.each([
    // Comparisons: a text is read as what stands on the other side.
    ["region = 'EU'", true],
    ["'EU' = region", true],
    ["region <> 'US'", true],
    ["region = 'eu'", false],
    ['price = 25', true],
    ['price = +25L', true],
    ['price > 20 AND price <= 25', true],
    ['price < 25', false],
    ['weight = 1.5', true],
    ['weight >= 1.5e0 AND weight < .2e1', true],
    ['paid = TRUE', true],
    ['paid', true],
    ['paid <> true', false],
    ["TAGS = 'Order'", true],
    ["price = '25'", true],
    // Two properties: equal as texts, ordered as decimals.
    ['price = price', true],
    ['price > weight', true],
    // 64 bits are exact.
    ['big = 9007199254740993', true],
    ['big = 9007199254740992', false],
    ['big > 9007199254740992', true],
    ['price < 9223372036854775807', true],
    ['price > -9223372036854775808', true],
    // Ranges, lists, searches; each with NOT.
    ['price BETWEEN 25 AND 30', true],
    ['price BETWEEN 10 AND 25', true],
    ['price NOT BETWEEN 10 AND 24', true],
    ['price BETWEEN weight AND 30.0', true],
    ["region IN ('US', 'EU')", true],
    ["region NOT IN ('US', 'CN')", true],
    ["region NOT IN ('US', 'EU')", false],
    ["note CONTAINS 's h'", true],
    ["note CONTAINS 'it''s'", true],
    ["note STARTSWITH 'it'", true],
    ["note ENDSWITH 'here'", true],
    ["note NOT CONTAINS 'there'", true],
    ["note NOT STARTSWITH 'it'", false],
    ["note NOT ENDSWITH 'x'", true],
    ["'abc' CONTAINS 'b'", true],
    // Precedence: OR, AND, equality, order, NOT and signs.
    ['FALSE AND FALSE OR TRUE', true],
    ['TRUE OR FALSE AND FALSE', true],
    ['price > 20 = TRUE', true],
    ['TRUE = price > 20', true],
    ['NOT paid = FALSE', true],
    ['NOT (price = 24)', true],
    ['(((price = 25)))', true],
    ['- 25 = -25', true],
    // Words in any case; names as they are; comments are nothing.
    ["region in ('EU') and Not (price between 1 And 2)", true],
    ['Price = 25', false],
    ['price = 25 -- and nothing else', true],
    ['/* cheap? */ price /* = 1 */ = 25', true],
    ['price =\n\t25', true],
    ['TRUE', true],
    ['FALSE', false],
    ['NULL', false],
  ])('%s: %s', (expression, expected) => {
    expect(wants(expression, order)).toBe(expected);
  });

  it('takes names with $, _, digits and letters of any language', () => {
    expect(wants("$a_1 = 'x' AND größe = 3", { $a_1: 'x', größe: '3' })).toBe(true);
  });

  // What is unknown stays so through NOT; what can't be judged ends the judgement, from left to right.
  it.each([
    ['missing = 1', false],
    ['NOT (missing = 1)', false],
    ['missing', false],
    ['NOT missing', false],
    ['missing IS NULL', true],
    ['missing IS NOT NULL', false],
    ['price IS NOT NULL', true],
    ['(missing = 1) IS NULL', true],
    ['missing = 1 OR price = 25', true],
    ['missing = 1 AND price = 24', false],
    ['NOT (missing = 1 AND price = 24)', true],
    ['NOT (missing = 1 OR price = 24)', false],
    ["missing NOT IN ('a')", false],
    ["missing NOT CONTAINS 'a'", false],
    ['missing NOT BETWEEN 1 AND 2', false],
    ['region > 1', false],
    ['NOT (region > 1)', false],
    ['weight = 1', false],
    ['NOT (weight = 1)', false],
    ['region', false],
    ['NOT region', true],
    ['region > 1 OR TRUE', false],
    ['TRUE OR region > 1', true],
    ['(region > 1) IS NULL', false],
    ['-region IS NULL', true],
    ['-missing IS NULL', true],
    ["'a' IS NULL", false],
    ['1 IS NOT NULL', true],
    ['region > region', false],
  ])('%s: %s', (expression, expected) => {
    expect(wants(expression, order)).toBe(expected);
  });

  // What rocketmq-filter 5.3.2 answers, by hand and word by word.
  it.each<[string, string | undefined, boolean]>([
    ['p', 'x', false],
    ['NOT p', 'x', true],
    ['NOT p', undefined, false],
    ['p = FALSE', 'x', true],
    ['p = FALSE', '', true],
    ['p = FALSE', 'False', true],
    ['p = FALSE', undefined, false],
    ['p <> TRUE', '1', true],
    ['p <> TRUE', 'TRUE', false],
    ['p <> FALSE', ' true', false],
    ['FALSE = p', 'x', false],
    ['TRUE <> p', undefined, true],
    ["p CONTAINS ''", 'x', false],
    ["p ENDSWITH ''", 'x', false],
    ["p STARTSWITH ''", '', false],
    ["p NOT CONTAINS ''", 'x', false],
    ["NOT (p CONTAINS '')", 'x', true],
    ["p NOT CONTAINS 'a'", undefined, false],
    ["NOT (p CONTAINS 'a')", undefined, true],
    ["p NOT IN ('a')", undefined, false],
    ['-p = 1', '-1', false],
    ['-p < 1', '1', false],
    ['-p IS NULL', '1', true],
    ['+p = 1', '1', true],
    ['p = 1', '01', true],
    ['p = 1', '+1', true],
    ['p = 1', '1.0', false],
    ['p = 1.0', '1d', true],
    ['p = 1.0', ' 1 ', true],
    ['p = 1.0', '0x1', false],
    ['1 = p', undefined, false],
    ['1 <> p', undefined, true],
    ['p <> 1', undefined, false],
    ['p = q', undefined, true],
    ['p <> q', '1', true],
    ['q <> p', '1', false],
    ['p < q', undefined, false],
  ])('%s, p %j: %s', (expression, value, expected) => {
    expect(wants(expression, value === undefined ? {} : { p: value })).toBe(expected);
  });

  it.each([
    ['9223372036854775807', true],
    ['+5', true],
    ['-5', true],
    ['9223372036854775808', false],
    ['1.0', false],
    ['', false],
    ['+', false],
    ['1e3', false],
    [' 1', false],
    ['0x10', false],
  ])('the text %j is a whole number: %s', (text, expected) => {
    expect(wants('n > -9223372036854775808', { n: text })).toBe(expected);
  });

  it.each([
    ['1.', true],
    ['.5', true],
    ['1e3', true],
    ['-1.5E-3', true],
    ['', false],
    ['.', false],
    ['NaN', false],
    ['Infinity', false],
    ['1,5', false],
  ])('the text %j is a decimal: %s', (text, expected) => {
    expect(wants('n > -1e300', { n: text })).toBe(expected);
  });

  it('has one key for expressions that say the same', () => {
    expect(sqlFilter("a=1 and  (b in('x'))").key).toBe(sqlFilter("(a = +1L) AND b IN ('x') -- same").key);
    expect(sqlFilter('a = 1').key).not.toBe(sqlFilter('a = 1.0').key);
    expect(sqlFilter("a = 'TRUE'").key).not.toBe(compileFilter({ type: 'tag', expression: "a = 'TRUE'" }).key);
  });
});

// A message may bring any text. What took time by the square of its length would stop a broker for minutes here.
it.each([
  ['digits, and then a letter', `${'1'.repeat(200_000)}x`, false],
  ['digits', '1'.repeat(200_000), true],
  ['digits with a fraction', `1${'.'.padEnd(200_000, '0')}`, false],
  ['blanks between two letters', `a${' '.repeat(200_000)}b`, false],
  ['blanks around a number', `${' '.repeat(200_000)}2${'\0'.repeat(200_000)}`, true],
])('judges a text of many %s at once', (_, text, expected) => {
  expect(wants('p > 1.5', { p: text })).toBe(expected);
});

describe('what is no SQL expression', () => {
  it.each([
    ['', 1, /empty/],
    ['   ', 1, /empty/],
    ['a =', 4, /expected a property, a value or "\(", found the end/],
    ['a = 1 b', 7, /expected AND, OR, an operator or the end of the expression, found the property "b"/],
    ['a = 1)', 6, /found "\)"/],
    ['(a = 1', 7, /expected "\)" or an operator, found the end/],
    ["a = 'x", 5, /no closing quote/],
    ["a = 'x''", 5, /no closing quote/],
    ['a = 1 /* x', 7, /comment .* no end/],
    ['a = "x"', 5, /single quotes/],
    ['a != 1', 3, /<>/],
    ['a = 1 * 2', 7, /no arithmetic/],
    ["a LIKE 'x'", 3, /found the property "LIKE"/],
    ['a = 12x', 5, /"12x" is neither a number/],
    ['a = 9223372036854775808', 5, /64 bits/],
    ['a = 1e999', 5, /too large/],
    ["'x'", 1, /must be a condition/],
    ['1', 1, /must be a condition, but is a number/],
    ['a = 1 OR 2', 10, /after OR must be a condition/],
    ["'x' AND a", 1, /before AND must be a condition/],
    ["NOT 'x'", 5, /after NOT must be a condition/],
    ["a > 'x'", 5, /compares numbers and properties, not a text/],
    ['a > TRUE', 5, /not a condition/],
    ['a > NULL', 5, /IS NULL/],
    ['TRUE < a', 1, /not a condition/],
    ['a < b < c', 1, /not a condition/],
    ["a BETWEEN 'x' AND 'y'", 11, /not a text/],
    ['a BETWEEN 3 AND 2', 11, /holds for nothing/],
    ['a BETWEEN 1 OR 2', 13, /expected AND/],
    ['NOT a = 1', 7, /NOT binds tighter than =, write NOT/],
    ["1 = 'x'", 3, /can't compare a number with a text/],
    ["'a' IN ('b')", 1, /property's name before IN/],
    ['a IN (1)', 7, /a text in single quotes in the list of IN, found the number 1/],
    ['a IN ()', 7, /a text in single quotes/],
    ["a IN 'x'", 6, /expected "\("/],
    ["a IN ('x' 'y')", 11, /expected "," or "\)"/],
    ['a CONTAINS b', 12, /a text in single quotes after CONTAINS/],
    ["1 CONTAINS 'b'", 1, /a property or a text before CONTAINS/],
    ['a NOT 1', 7, /expected BETWEEN, IN, CONTAINS/],
    ['a IS 1', 6, /expected NULL or NOT NULL/],
    ['a IS NOT 1', 10, /expected NULL, found/],
    ["- 'x'", 3, /number or a property after "-"/],
    ['a = $', 0, undefined],
    ['a = #', 5, /means nothing here/],
    ['AND', 1, /found AND/],
    ['a = NULL', 3, /IS NULL/],
    ['a = 01', 5, /does not begin with 0.*write 1$/],
    ['a > 0x1F', 5, /neither a number/],
    ['a = 1 b', 7, /expected AND, OR/],
  ])('%j is wrong at %i', (expression, position, message) => {
    if (!message) {
      expect(() => sqlFilter(expression)).not.toThrow(); // A lone $ is a name.
      return;
    }
    let error: MqError | undefined;
    try {
      sqlFilter(expression);
    } catch (caught) {
      error = caught as MqError;
    }
    expect(error?.code).toBe('ILLEGAL_FILTER_EXPRESSION');
    expect(error?.reason).toMatch(new RegExp(`at character ${position}:`));
    expect(error?.reason).toMatch(message);
  });

  it('is refused when it is nested too deep, has too many terms or too many texts', () => {
    const { depthMax, termsMax, textsMax } = sqlLimits;
    const deep = (n: number) => `${'('.repeat(n)}a = 1${')'.repeat(n)}`;
    expect(wants(deep(depthMax), { a: '1' })).toBe(true);
    expect(() => sqlFilter(deep(depthMax + 1))).toThrow(/nested more than 64 deep/);
    expect(() => sqlFilter(`${'NOT '.repeat(depthMax + 1)}a`)).toThrow(/nested/);
    const long = (n: number) => Array.from({ length: n }, () => 'a').join(' AND ');
    expect(wants(long(termsMax), { a: 'true' })).toBe(true);
    expect(() => sqlFilter(long(termsMax + 1))).toThrow(/more than 512 properties and values/);
    const list = (n: number) => `a IN (${Array.from({ length: n }, (_, i) => `'${i}'`).join()})`;
    expect(wants(list(textsMax), { a: '7' })).toBe(true);
    expect(() => sqlFilter(list(textsMax + 1))).toThrow(/more than 1024 texts/);
    const steps = (n: number) => `a${' IS NULL'.repeat(n)}`;
    expect(wants(steps(termsMax))).toBe(false);
    expect(() => sqlFilter(steps(termsMax + 1))).toThrow(/more than 512 properties and values/);
    expect(() => sqlFilter(steps(4_000))).toThrow(/more than 512 properties and values/);
  });
});
