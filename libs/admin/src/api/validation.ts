import type { FastifySchemaValidationError } from 'fastify';
import { MqError } from '@cometmq/shared';

const shownMax = 8;

/** What the validator says beside each mistake when it is told to be verbose. */
interface Verbose extends FastifySchemaValidationError {
  readonly parentSchema?: { readonly properties?: Readonly<Record<string, unknown>> };
}

/** From the validator's words to ones that say where, what was wrong and what is allowed. */
export function validationError(errors: readonly FastifySchemaValidationError[], part: string): MqError {
  const said = [...new Set(errors.map((error) => sentence(error, part)))];
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
      return `${where}: ${cut(params['tag'])} ${cut(params['tagValue'])} is not known here`;
    default:
      return `${where}: ${error.message ?? 'is not allowed'}`;
  }
}

function placeOf(instancePath: string, part: string): string {
  const path = instancePath.slice(1).replaceAll('/', '.');
  return path === '' ? (part === 'querystring' ? 'query' : part) : path;
}

const noun = (part: string): string => (part === 'querystring' ? 'parameter' : 'field');

function cut(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
