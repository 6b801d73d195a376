/**
 * What of a topic's bodies is hidden from who may look at its messages, and may not consume them:
 *
 *   *                          the whole body
 *   card.number,customer.*     these fields of a JSON body; lists are looked through, `*` is any field. Where `card` is a text
 *                              or number, it is hidden itself. A body that is no JSON is hidden as a whole.
 */
import { MqError } from '@cometmq/shared';

import { printable } from './names.js';

export const bodyMaskLengthMax = 1_024;
/** Fields between commas, of names between dots; or nothing. */
export const bodyMaskPattern = '^(|[^.,\\s]+(\\.[^.,\\s]+)*(,[^.,\\s]+(\\.[^.,\\s]+)*)*)$';
const wellFormed = new RegExp(bodyMaskPattern);
const fieldsMax = 64;
const depthMax = 16;
/** Hides the whole body. */
export const wholeBody = '*';
const hidden = '***';

/** @throws MqError BAD_REQUEST */
export function bodyMask(text: string): string {
  const fields = text.split(',');
  const isShort = fields.length <= fieldsMax && fields.every((field) => field.split('.').length <= depthMax);
  if (text.length <= bodyMaskLengthMax && wellFormed.test(text) && isShort) return text;
  throw new MqError(
    'BAD_REQUEST',
    `body mask "${printable(text).slice(0, 80)}": must be "*", or up to ${fieldsMax} JSON fields of up to ${depthMax} names ` +
      'each, as card.number,customer.*',
  );
}

/** As much as any of them hides. */
export function bothMasks(one: string, other: string): string {
  if (one === wholeBody || other === wholeBody) return wholeBody;
  return [...new Set([one, other].flatMap((mask) => mask.split(',')))].filter((field) => field !== '').join(',');
}

/** Undefined: all of it is hidden. @param body whole, decompressed */
export function maskedBody(body: Uint8Array, mask: string): Uint8Array | undefined {
  if (mask === wholeBody) return undefined;
  try {
    let json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body), asWritten);
    if (!isNested(json)) return undefined;
    for (const field of mask.split(',')) json = left(json, field.split('.'), 0, true);
    return Buffer.from(JSON.stringify(json));
  } catch {
    return undefined; // It is no JSON, or nested too deep to be looked through.
  }
}

const { rawJSON, isRawJSON } = JSON as unknown as {
  readonly rawJSON: (text: string) => unknown;
  readonly isRawJSON: (value: unknown) => boolean;
};

/** Numbers keep all their digits. */
function asWritten(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? rawJSON(context.source) : value;
}

function isNested(json: unknown): json is object {
  return typeof json === 'object' && json !== null && !isRawJSON(json);
}

/**
 * What is left of a value of which `path` is to be hidden from `at` on. Where it is not of the form that the mask expects, as a text
 * instead of an object, all of it is hidden: it may well be the same said in another way.
 *
 * @param isNamed the mask names it, not only all that is beside it
 */
function left(value: unknown, path: readonly string[], at: number, isNamed: boolean): unknown {
  if (at === path.length) return hidden;
  if (!isNested(value)) return isNamed && value !== null ? hidden : value;
  if (Array.isArray(value)) return value.map((one) => left(one, path, at, isNamed));
  const fields = value as Record<string, unknown>;
  if (path[at] === '*') {
    for (const name of Object.keys(fields)) fields[name] = left(fields[name], path, at + 1, false);
    return fields;
  }
  // A name may have dots in it, too.
  for (let end = at + 1, name = path[at] ?? ''; end <= path.length; name += `.${path[end] ?? ''}`, end += 1) {
    if (Object.hasOwn(fields, name)) fields[name] = left(fields[name], path, end, true);
  }
  return fields;
}
