import type { FastifySchemaValidationError } from 'fastify';
import { MqError } from '@cometmq/shared';

const shownMax = 8;

/** What the validator says beside each mistake when it is told to be verbose. */
interface Verbose extends FastifySchemaValidationError {
  readonly parentSchema?: {
    readonly type?: unknown;
    readonly minimum?: number;
    readonly maximum?: number;
    readonly properties?: Readonly<Record<string, unknown>>;
    readonly oneOf?: readonly { readonly properties?: Readonly<Record<string, Tag>> }[];
  };
}

/** What a discriminator's property may be in one of the alternatives. */
interface Tag {
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

/**
 * From the validator's words to ones that say where, what was wrong and what is allowed. The framework calls this bare:
 * what it threw would not be answered but end the process. So it takes nothing for granted that the validator may leave
 * out: parameters and schemas are as the request made them.
 */
export function validationError(errors: readonly FastifySchemaValidationError[], part: string): MqError {
  const all = [...new Set(errors.map((error) => sentence(error, part)))];
  const said = all.filter((one) => !all.some((other) => other.startsWith(`${one};`))); // Said again, with what is allowed.
  const shown = said.slice(0, shownMax);
  if (said.length > shownMax) shown.push(`and ${said.length - shownMax} more`);
  return new MqError('BAD_REQUEST', shown.join('; '));
}

function sentence(error: Verbose, part: string): string {
  const where = placeOf(error.instancePath, part);
  const { params } = error;
  switch (error.keyword) {
    case 'additionalProperties': {
      const allowed = Object.keys(error.parentSchema?.properties ?? {});
      return `${where}: unknown ${noun(part)} "${cut(params['additionalProperty'])}"; allowed are ${allowed.join(', ')}`;
    }
    case 'required':
      return `${where}: ${cut(params['missingProperty'])} is missing`;
    case 'minProperties':
      return `${where}: nothing to change; give at least one field`;
    case 'enum':
      return `${where}: must be one of ${String(params['allowedValues']).replaceAll(',', ', ')}`;
    case 'const':
      return `${where}: must be ${String(params['allowedValue'])}`;
    case 'discriminator':
      return `${where}: ${tagSentence(error, String(params['tag']), params['tagValue'])}`;
    case 'type':
    case 'minimum':
    case 'maximum': {
      const { type, minimum, maximum } = error.parentSchema ?? {};
      if (part !== 'querystring' || type !== 'integer') return `${where}: ${error.message ?? 'is not allowed'}`;
      const range = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${maximum}`;
      return `${where}: must be a whole number, ${minimum ?? 0} ${range}`;
    }
    default:
      return `${where}: ${error.message ?? 'is not allowed'}`;
  }
}

function tagSentence({ parentSchema }: Verbose, tag: string, value: unknown): string {
  const allowed = (parentSchema?.oneOf ?? []).flatMap(({ properties }) => {
    const one = properties?.[tag];
    return one?.enum ?? (one?.const === undefined ? [] : [one.const]);
  });
  const choice = `one of ${allowed.join(', ')}`;
  return value === undefined ? `${tag} is missing; it is ${choice}` : `${tag} must be ${choice}, not ${cut(value)}`;
}

function placeOf(instancePath: string, part: string): string {
  const path = instancePath.slice(1).replaceAll('/', '.');
  return path === '' ? (part === 'querystring' ? 'query' : part) : path;
}

const noun = (part: string): string => (part === 'querystring' ? 'parameter' : 'field');

function cut(value: unknown): string {
  // JSON has no word for undefined and functions, and refuses what is too large.
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
