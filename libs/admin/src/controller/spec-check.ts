/**
 * Whether a spec is as its schema says. Kubernetes checks the same by the CRD; a CRD may be older than this program, or have been
 * weakened by hand, and what a resource says must never end a process.
 */
import type { Schema } from '../api/schema-parts.js';

interface Known {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Known>>;
  readonly items?: Known;
  readonly oneOf?: readonly Known[];
  readonly discriminator?: { readonly propertyName: string };
}

/** @returns what is wrong and what is allowed; undefined: nothing is */
export function specFault(schema: Schema, value: unknown, where = 'spec'): string | undefined {
  const known = schema as Known;
  if (known.oneOf && known.discriminator) return oneOfFault(known, value, where);
  switch (known.type) {
    case 'object':
      return objectFault(known, value, where);
    case 'array': {
      if (!Array.isArray(value)) return `${where} must be a list`;
      const { minItems = 0, maxItems = Infinity, items = {} } = known;
      if (value.length < minItems || value.length > maxItems)
        return `${where} must have ${range(minItems, maxItems)} entries`;
      return firstOf(value, (each, i) => specFault(items as Schema, each, `${where}[${i}]`));
    }
    case 'string':
      return stringFault(known, value, where);
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `${where} must be true or false`;
    case 'integer':
    case 'number': {
      const { minimum = -Infinity, maximum = Infinity, type } = known;
      const isNumber = type === 'integer' ? Number.isSafeInteger(value) : typeof value === 'number';
      if (isNumber && (value as number) >= minimum && (value as number) <= maximum) return undefined;
      return `${where} must be a ${type === 'integer' ? 'whole ' : ''}number, ${range(minimum, maximum)}`;
    }
    default:
      return undefined;
  }
}

function oneOfFault({ oneOf = [], discriminator }: Known, value: unknown, where: string): string | undefined {
  const name = discriminator?.propertyName ?? '';
  const tagOf = (one: Known): readonly unknown[] => {
    const tag = one.properties?.[name];
    return tag?.enum ?? [tag?.const];
  };
  const given = fieldOf(value, name);
  const meant = oneOf.find((one) => tagOf(one).includes(given));
  if (meant) return specFault(meant as Schema, value, where);
  return `${where}.${name} must be one of ${oneOf.flatMap(tagOf).join(', ')}`;
}

function objectFault({ properties = {}, required = [] }: Known, value: unknown, where: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${where} must have fields`;
  const missing = required.find((name) => fieldOf(value, name) === undefined);
  if (missing !== undefined) return `${where}.${missing} is missing`;
  return firstOf(Object.entries(value), ([name, field]) => {
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (known) return specFault(known as Schema, field, `${where}.${name}`);
    return `${where}: unknown field "${name.slice(0, 64)}"; allowed are ${Object.keys(properties).join(', ')}`;
  });
}

function stringFault(known: Known, value: unknown, where: string): string | undefined {
  if (typeof value !== 'string') return `${where} must be a text`;
  if (known.const !== undefined && value !== known.const) return `${where} must be ${JSON.stringify(known.const)}`;
  if (known.enum && !known.enum.includes(value)) return `${where} must be one of ${known.enum.join(', ')}`;
  const { minLength = 0, maxLength = Infinity, pattern } = known;
  if (value.length < minLength || value.length > maxLength)
    return `${where} must have ${range(minLength, maxLength)} characters`;
  if (pattern !== undefined && !new RegExp(pattern).test(value)) return `${where} must match ${pattern}`;
  return undefined;
}

function range(min: number, max: number): string {
  return max >= Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
}

function firstOf<T>(values: readonly T[], fault: (value: T, i: number) => string | undefined): string | undefined {
  for (const [i, value] of values.entries()) {
    const found = fault(value, i);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
