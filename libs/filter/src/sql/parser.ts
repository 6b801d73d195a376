import { tokenize, tokenName, type Keyword, type Token } from './lexer.js';
import { sortOf, type Comparison, type Condition, type Expression, type Search } from './syntax.js';
import { wrong } from './wrong.js';

/**
 * From words to what they say. Loosest first:
 *
 *   OR │ AND │ = <> IS [NOT] NULL │ > >= < <= [NOT] BETWEEN, IN, CONTAINS, STARTSWITH, ENDSWITH │ + - NOT │ value, ( )
 *
 * all of them from left to right. NOT binds tighter than a comparison: `NOT a = 1` is `(NOT a) = 1`, and refused.
 */
export interface SqlLimits {
  /** Parentheses, signs and NOTs within one another. */
  readonly depthMax: number;
  /** Properties and values, the texts of IN not counted. */
  readonly termsMax: number;
  /** Texts of all INs together. */
  readonly textsMax: number;
}

export interface Parsed {
  readonly expression: Expression;
  readonly terms: number;
}

/** @throws MqError ILLEGAL_FILTER_EXPRESSION */
export function parse(source: string, limits: SqlLimits): Parsed {
  return new Parser(tokenize(source), limits).whole();
}

const integerMax = 2n ** 63n - 1n;
const comparisons: ReadonlySet<string> = new Set<Comparison>(['<', '<=', '>', '>=']);
const searches: Partial<Record<Keyword, Search>> = {
  CONTAINS: 'contains',
  STARTSWITH: 'startsWith',
  ENDSWITH: 'endsWith',
};

class Parser {
  private next = 0;
  private depth = 0;
  private terms = 0;
  private texts = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly limits: SqlLimits,
  ) {}

  whole(): Parsed {
    if (this.atEnd()) throw wrong(0, 'it is empty; an expression that is true for everything is TRUE');
    const expression = this.or();
    if (!this.atEnd()) throw this.unexpected('AND, OR, an operator or the end of the expression');
    condition(expression, 'the expression');
    return { expression, terms: this.terms };
  }

  private or(): Expression {
    let left = this.and();
    while (this.isKeyword('OR')) left = this.joined('or', left, () => this.and());
    return left;
  }

  private and(): Expression {
    let left = this.equality();
    while (this.isKeyword('AND')) left = this.joined('and', left, () => this.equality());
    return left;
  }

  private joined(kind: 'and' | 'or', left: Expression, parseRight: () => Expression): Condition {
    this.next += 1;
    const word = kind.toUpperCase();
    condition(left, `what stands before ${word}`);
    const right = parseRight();
    condition(right, `what stands after ${word}`);
    return { kind, at: left.at, left, right };
  }

  private equality(): Expression {
    let left = this.comparison();
    for (;;) {
      const { token } = this;
      if (this.takeSymbol('=', '<>')) {
        const right = this.comparison();
        const operator = (token as { text: string }).text as Comparison;
        comparable(left, right, operator, token.at);
        left = { kind: 'compare', at: left.at, operator, left, right };
      } else if (this.takeKeyword('IS')) {
        const negated = this.takeKeyword('NOT');
        if (!this.takeKeyword('NULL')) throw this.unexpected(negated ? 'NULL' : 'NULL or NOT NULL');
        if (left.kind === 'isNull') this.countTerm(token.at); // One more step of the judgement, within the one before.
        left = { kind: 'isNull', at: left.at, negated, operand: left };
      } else return left;
    }
  }

  private comparison(): Expression {
    let left = this.unary();
    for (;;) {
      const { token } = this;
      if (token.kind === 'symbol' && comparisons.has(token.text)) {
        this.next += 1;
        const operator = token.text as Comparison;
        const right = this.unary();
        ordered(left, operator);
        ordered(right, operator);
        left = { kind: 'compare', at: left.at, operator, left, right };
        continue;
      }
      const negated = token.kind === 'keyword' && token.word === 'NOT';
      if (negated) this.next += 1;
      const found = this.special(left, negated);
      if (found) left = found;
      else if (negated) throw this.unexpected('BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH');
      else return left;
    }
  }

  /** BETWEEN, IN and the searches. */
  private special(left: Expression, negated: boolean): Condition | undefined {
    const { token } = this;
    if (token.kind !== 'keyword') return undefined;
    const { at } = left;
    if (this.takeKeyword('BETWEEN')) {
      ordered(left, 'BETWEEN');
      const low = this.unary();
      ordered(low, 'BETWEEN');
      if (!this.takeKeyword('AND')) throw this.unexpected('AND and the upper end of BETWEEN');
      const high = this.unary();
      ordered(high, 'BETWEEN');
      refuseEmptyRange(low, high);
      return { kind: 'between', at, negated, operand: left, low, high };
    }
    if (this.takeKeyword('IN')) {
      if (left.kind !== 'property') throw wrong(at, "expected a property's name before IN");
      return { kind: 'in', at, negated, operand: left, texts: this.textList() };
    }
    const how = searches[token.word];
    if (!how) return undefined;
    this.next += 1;
    if (left.kind !== 'property' && left.kind !== 'text') {
      throw wrong(at, `expected a property or a text before ${token.word}`);
    }
    return { kind: 'search', at, negated, how, operand: left, text: this.textLiteral(`after ${token.word}`) };
  }

  private unary(): Expression {
    const { token } = this;
    if (this.takeKeyword('NOT')) {
      const operand = this.nested(token.at, () => this.unary());
      condition(operand, 'what stands after NOT');
      return { kind: 'not', at: token.at, operand };
    }
    if (!this.takeSymbol('+', '-')) return this.primary();
    const sign = (token as { text: string }).text;
    const value = this.token;
    if (sign === '-' && value.kind === 'integer') {
      this.next += 1;
      return this.integer(token.at, -BigInt(value.digits));
    }
    const operand = this.nested(token.at, () => this.unary());
    const { at } = token;
    switch (operand.kind) {
      case 'integer':
        if (sign === '+') return operand;
        this.terms -= 1;
        return this.integer(at, -BigInt(operand.value));
      case 'decimal':
        return sign === '+' ? operand : { kind: 'decimal', at, value: -operand.value };
      case 'property':
        return sign === '+' ? operand : { kind: 'negative', at, operand };
      default:
        throw wrong(operand.at, `expected a number or a property after "${sign}"`);
    }
  }

  private primary(): Expression {
    const { token } = this;
    const { at } = token;
    this.countTerm(at);
    this.next += 1;
    switch (token.kind) {
      case 'name':
        return { kind: 'property', at, name: token.text };
      case 'text':
        return { kind: 'text', at, value: token.text };
      case 'decimal':
        return { kind: 'decimal', at, value: token.value };
      case 'integer':
        this.terms -= 1;
        return this.integer(at, BigInt(token.digits));
      case 'keyword':
        if (token.word === 'TRUE' || token.word === 'FALSE')
          return { kind: 'boolean', at, value: token.word === 'TRUE' };
        if (token.word === 'NULL') return { kind: 'null', at };
        break;
      case 'symbol':
        if (token.text !== '(') break;
        this.terms -= 1;
        return this.nested(at, () => {
          const inner = this.or();
          if (!this.takeSymbol(')')) throw this.unexpected('")" or an operator');
          return inner;
        });
      case 'end':
        break;
    }
    this.next -= 1;
    throw this.unexpected('a property, a value or "("');
  }

  private integer(at: number, value: bigint): Expression {
    this.terms += 1;
    if (value > integerMax || value < -integerMax - 1n) throw wrong(at, 'the number does not fit 64 bits');
    const small = Number(value);
    return { kind: 'integer', at, value: Number.isSafeInteger(small) ? small : value };
  }

  private textList(): string[] {
    if (!this.takeSymbol('(')) throw this.unexpected('"(" and the texts of IN');
    const texts: string[] = [];
    do texts.push(this.textLiteral('in the list of IN'));
    while (this.takeSymbol(','));
    if (!this.takeSymbol(')')) throw this.unexpected('"," or ")"');
    return texts;
  }

  private textLiteral(where: string): string {
    const { token } = this;
    if (token.kind !== 'text') throw this.unexpected(`a text in single quotes ${where}`);
    this.texts += 1;
    if (this.texts > this.limits.textsMax)
      throw wrong(token.at, `it has more than ${this.limits.textsMax} texts in lists`);
    this.next += 1;
    return token.text;
  }

  private countTerm(at: number): void {
    this.terms += 1;
    if (this.terms > this.limits.termsMax) {
      throw wrong(at, `it has more than ${this.limits.termsMax} properties and values`);
    }
  }

  private nested<T>(at: number, act: () => T): T {
    this.depth += 1;
    if (this.depth > this.limits.depthMax) throw wrong(at, `it is nested more than ${this.limits.depthMax} deep`);
    const found = act();
    this.depth -= 1;
    return found;
  }

  private get token(): Token {
    return this.tokens[this.next] as Token;
  }

  private atEnd(): boolean {
    return this.token.kind === 'end';
  }

  private isKeyword(word: Keyword): boolean {
    const { token } = this;
    return token.kind === 'keyword' && token.word === word;
  }

  private takeKeyword(word: Keyword): boolean {
    if (!this.isKeyword(word)) return false;
    this.next += 1;
    return true;
  }

  private takeSymbol(...symbols: string[]): boolean {
    const { token } = this;
    if (token.kind !== 'symbol' || !symbols.includes(token.text)) return false;
    this.next += 1;
    return true;
  }

  private unexpected(expected: string) {
    return wrong(this.token.at, `expected ${expected}, found ${tokenName(this.token)}`);
  }
}

function condition(expression: Expression, what: string): void {
  const sort = sortOf(expression);
  if (sort === 'number' || sort === 'text') throw wrong(expression.at, `${what} must be a condition, but is a ${sort}`);
}

/** `<` and its kin compare numbers; a property is read as one. */
function ordered(expression: Expression, operator: string): void {
  const sort = sortOf(expression);
  if (sort === 'number' || sort === 'property') return;
  const what = sort === 'condition' ? 'a condition' : sort === 'text' ? 'a text' : 'NULL';
  const hint = sort === 'null' ? '; ask with IS NULL' : '';
  throw wrong(expression.at, `${operator} compares numbers and properties, not ${what}${hint}`);
}

function comparable(left: Expression, right: Expression, operator: Comparison, at: number): void {
  const a = sortOf(left);
  const b = sortOf(right);
  if (a === 'null' || b === 'null') throw wrong(at, `${operator} can't compare with NULL; ask with IS NULL`);
  if (a === b || a === 'property' || b === 'property') return;
  const hint = left.kind === 'not' ? `; NOT binds tighter than ${operator}, write NOT (…)` : '';
  throw wrong(at, `${operator} can't compare a ${a} with a ${b}${hint}`);
}

function refuseEmptyRange(low: Expression, high: Expression): void {
  const constant = (end: Expression) => (end.kind === 'integer' || end.kind === 'decimal' ? end.value : undefined);
  const from = constant(low);
  const to = constant(high);
  if (from !== undefined && to !== undefined && from > to) {
    throw wrong(low.at, `BETWEEN ${from} AND ${to} holds for nothing: the lower end comes first`);
  }
}
