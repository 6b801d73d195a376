/**
 * Properties are texts; next to a number or a truth value they are read as one, as Java reads them. `undefined` says the
 * property is missing; NaN says that the text is no such thing, which ends the judgement: no match.
 */
/** In one way only: a text of many digits that is no number must not be read in all ways to split it. */
const decimalShape = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[fFdD]?$/;
/** So many digits always fit a double exactly. */
const safeDigits = 15;
const integerMax = 2n ** 63n - 1n;

/** Whole numbers of 64 bits; beyond 2^53 as bigint. */
export function toInteger(text: string): number | bigint {
  const sign = text.charCodeAt(0);
  const from = sign === minus || sign === plus ? 1 : 0;
  const { length } = text;
  if (length === from) return NaN;
  let value = 0;
  for (let i = from; i < length; i += 1) {
    const digit = text.charCodeAt(i) - zero;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  if (length - from <= safeDigits) return sign === minus ? 0 - value : value;
  const exact = BigInt(text.slice(from)) * (sign === minus ? -1n : 1n);
  if (exact > integerMax || exact < -integerMax - 1n) return NaN;
  const small = Number(exact);
  return Number.isSafeInteger(small) ? small : exact;
}

export function toDecimal(text: string): number {
  const found = decimalShape.exec(withoutBlanks(text))?.[1];
  return found === undefined ? NaN : Number(found);
}

/** As Java cuts them off both ends of a decimal: up to the space. */
function withoutBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && text.charCodeAt(from) <= space) from += 1;
  while (to > from && text.charCodeAt(to - 1) <= space) to -= 1;
  return text.slice(from, to);
}

/** Whatever is not "true" is false. */
export function toBoolean(text: string): boolean {
  return text === 'true' || (text.length === 4 && text.toLowerCase() === 'true');
}

const space = 32;
const zero = 48;
const plus = 43;
const minus = 45;
