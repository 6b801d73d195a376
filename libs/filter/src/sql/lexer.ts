import { quoted, wrong } from './wrong.js';

/**
 * Cuts an expression into words. Keywords in any case; names are letters, digits, `_` and `$`, not beginning with a
 * digit, and keep their case; texts stand in single quotes, '' for one of them; `-- to the line's end` and
 * `/* between these *\/` are comments.
 */
export type Token =
  | { readonly kind: 'end'; readonly at: number }
  | { readonly kind: 'keyword'; readonly at: number; readonly word: Keyword }
  | { readonly kind: 'name'; readonly at: number; readonly text: string }
  | { readonly kind: 'symbol'; readonly at: number; readonly text: string }
  | { readonly kind: 'text'; readonly at: number; readonly text: string }
  | { readonly kind: 'integer'; readonly at: number; readonly digits: string }
  | { readonly kind: 'decimal'; readonly at: number; readonly value: number };

const keywords = [
  'AND',
  'BETWEEN',
  'CONTAINS',
  'ENDSWITH',
  'FALSE',
  'IN',
  'IS',
  'NOT',
  'NULL',
  'OR',
  'STARTSWITH',
  'TRUE',
] as const;
export type Keyword = (typeof keywords)[number];
const keywordSet: ReadonlySet<string> = new Set(keywords);

const blank = /(?:\s|--[^\r\n]*|\/\*[^]*?\*\/)*/y;
const name = /[\p{L}_$][\p{L}\p{Nd}_$]*/uy;
const number = /(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?/y;
const text = /'(?:[^']|'')*'/y;
const symbols = ['<>', '<=', '>=', '<', '>', '=', '(', ')', ',', '+', '-'];

/** @throws MqError ILLEGAL_FILTER_EXPRESSION */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (shape: RegExp): string | undefined => {
    shape.lastIndex = at;
    const found = shape.exec(source)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  for (;;) {
    take(blank);
    const from = at;
    if (at === source.length) {
      tokens.push({ kind: 'end', at });
      return tokens;
    }
    const word = take(name);
    if (word !== undefined) {
      const upper = word.toUpperCase();
      tokens.push(
        keywordSet.has(upper)
          ? { kind: 'keyword', at: from, word: upper as Keyword }
          : { kind: 'name', at: from, text: word },
      );
      continue;
    }
    const digits = take(number);
    if (digits !== undefined) {
      if (/^0\d/.test(digits)) throw wrong(from, leadingZero(digits));
      const token = numberToken(digits, from);
      if (token.kind === 'integer' && /[lL]/.test(source.charAt(at))) at += 1; // 5L is 5.
      refuseWordAfterNumber(source, from, at);
      tokens.push(token);
      continue;
    }
    const literal = take(text);
    if (literal !== undefined) {
      if (source[at] === "'") throw wrong(from, unclosedText); // An odd quote: it never ended.
      tokens.push({ kind: 'text', at: from, text: literal.slice(1, -1).replaceAll("''", "'") });
      continue;
    }
    const symbol = symbols.find((candidate) => source.startsWith(candidate, at));
    if (symbol === undefined) throw wrong(at, stranger(source, at));
    at += symbol.length;
    tokens.push({ kind: 'symbol', at: from, text: symbol });
  }
}

/** How a token is called in a complaint. */
export function tokenName(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'the end of the expression';
    case 'keyword':
      return token.word;
    case 'name':
      return `the property ${quoted(token.text)}`;
    case 'symbol':
      return quoted(token.text);
    case 'text':
      return `the text ${quoted(token.text)}`;
    case 'integer':
      return `the number ${token.digits}`;
    case 'decimal':
      return `the number ${token.value}`;
  }
}

function numberToken(digits: string, at: number): Token {
  if (!/[.eE]/.test(digits)) return { kind: 'integer', at, digits };
  const value = Number(digits);
  if (!Number.isFinite(value)) throw wrong(at, `the number ${quoted(digits)} is too large`);
  return { kind: 'decimal', at, value };
}

function refuseWordAfterNumber(source: string, from: number, at: number): void {
  if (/[\p{L}\p{Nd}_$]/u.test(String.fromCodePoint(source.codePointAt(at) ?? 32))) {
    const word = /^[\p{L}\p{Nd}_$.]+/u.exec(source.slice(from))?.[0] ?? '';
    throw wrong(from, `${quoted(word)} is neither a number nor a property's name, which can't begin with a digit`);
  }
}

/** RocketMQ reads such a number as 0, and takes no notice of what follows. */
function leadingZero(digits: string): string {
  return `a number does not begin with 0, found ${quoted(digits)}; write ${digits.replace(/^0+(?=\d)/, '')}`;
}

const unclosedText = 'the text that begins here has no closing quote';

function stranger(source: string, at: number): string {
  const found = String.fromCodePoint(source.codePointAt(at) ?? 0);
  if (found === "'") return unclosedText;
  if (source.startsWith('/*', at)) return 'the comment that begins here has no end';
  if (found === '"') return "texts stand in single quotes, as in 'this'";
  if (source.startsWith('!=', at)) return 'expected an operator, found "!="; "not equal" is written <>';
  if (found === '*' || found === '/' || found === '%') return `${quoted(found)}: there is no arithmetic`;
  return `${quoted(found)} means nothing here`;
}
