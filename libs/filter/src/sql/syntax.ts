/**
 * What an expression says. `at` is where a part begins, in characters from 0. Built by the parser alone, which lets only
 * sensible things meet: conditions where conditions are wanted, and values that can be compared.
 */
export type Expression = Condition | Value;

/** May be true, false or unknown. A bare property is one too. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly at: number; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly at: number; readonly operand: Expression }
  | {
      readonly kind: 'compare';
      readonly at: number;
      readonly operator: Comparison;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'between';
      readonly at: number;
      readonly negated: boolean;
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
    }
  | {
      readonly kind: 'in';
      readonly at: number;
      readonly negated: boolean;
      readonly operand: Property;
      readonly texts: readonly string[];
    }
  | {
      readonly kind: 'search';
      readonly at: number;
      readonly negated: boolean;
      readonly how: Search;
      readonly operand: Expression;
      readonly text: string;
    }
  | { readonly kind: 'isNull'; readonly at: number; readonly negated: boolean; readonly operand: Expression };

export type Value =
  | Property
  /** An integer beyond 2^53 is a bigint. */
  | { readonly kind: 'integer'; readonly at: number; readonly value: number | bigint }
  | { readonly kind: 'decimal'; readonly at: number; readonly value: number }
  | { readonly kind: 'text'; readonly at: number; readonly value: string }
  | { readonly kind: 'boolean'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'null'; readonly at: number }
  /** The negative of a property. A property is a text and has none: it is as if it were missing. */
  | { readonly kind: 'negative'; readonly at: number; readonly operand: Property };

export interface Property {
  readonly kind: 'property';
  readonly at: number;
  readonly name: string;
}

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=';
export type Search = 'contains' | 'startsWith' | 'endsWith';

/** What an expression is when it is compared. */
export type Sort = 'condition' | 'number' | 'text' | 'property' | 'null';

export function sortOf(expression: Expression): Sort {
  switch (expression.kind) {
    case 'integer':
    case 'decimal':
    case 'negative':
      return 'number';
    case 'text':
    case 'property':
    case 'null':
      return expression.kind;
    default:
      return 'condition';
  }
}

/** The expression in one normal form: parsed again it is the same, and what only looks different becomes equal. */
export function print(expression: Expression): string {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return `(${print(expression.left)} ${expression.kind.toUpperCase()} ${print(expression.right)})`;
    case 'not':
      return `(NOT ${print(expression.operand)})`;
    case 'compare':
      return `(${print(expression.left)} ${expression.operator} ${print(expression.right)})`;
    case 'between':
      return `(${print(expression.operand)} ${not(expression)}BETWEEN ${print(expression.low)} AND ${print(expression.high)})`;
    case 'in':
      return `(${expression.operand.name} ${not(expression)}IN (${expression.texts.map(printText).join(', ')}))`;
    case 'search':
      return `(${print(expression.operand)} ${not(expression)}${expression.how.toUpperCase()} ${printText(expression.text)})`;
    case 'isNull':
      return `(${print(expression.operand)} IS ${not(expression)}NULL)`;
    case 'property':
      return expression.name;
    case 'integer':
      return String(expression.value);
    case 'decimal':
      return printDecimal(expression.value);
    case 'text':
      return printText(expression.value);
    case 'boolean':
      return expression.value ? 'TRUE' : 'FALSE';
    case 'null':
      return 'NULL';
    case 'negative':
      return `(- ${expression.operand.name})`;
  }
}

function not({ negated }: { readonly negated: boolean }): string {
  return negated ? 'NOT ' : '';
}

function printText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Never mistaken for an integer. */
function printDecimal(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
