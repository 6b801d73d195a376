/** What schemas are put together from. */

export type Schema = Readonly<Record<string, unknown>>;

/** Numbers that JSON readers hold exactly. */
export const whole = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

export const ref = (name: string): Schema => ({ $ref: `${name}#` });

export function object(
  properties: Record<string, Schema>,
  required: readonly string[] | 'all',
  more: Schema = {},
): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    required: required === 'all' ? Object.keys(properties) : required,
    properties,
    ...more,
  };
}

export const arrayOf = (items: Schema, more: Schema = {}): Schema => ({ type: 'array', items, ...more });
export const described = (schema: Schema, description: string): Schema => ({ ...schema, description });

export const text: Schema = { type: 'string' };

const missing = object({ brokerSet: text, detail: text }, 'all');
export const missingList = described(
  arrayOf(missing),
  'Broker sets that did not answer: what is said of them is left out, and sums are too small.',
);
