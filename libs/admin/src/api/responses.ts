import { problemMediaType } from './problems.js';
import { ref, type Schema } from './schemas.js';

const problem = (description: string): Schema => ({
  description,
  content: { [problemMediaType]: { schema: ref('Problem') } },
});

const problems: Readonly<Record<number, Schema>> = {
  400: problem('The request is not right: the detail says what is allowed.'),
  401: problem('Who asks is not known, or not any more: the detail says how to log in.'),
  403: problem('Who asks may not; the detail says what is missing.'),
  404: problem('There is no such thing.'),
  409: problem('It exists already, or it changed meanwhile.'),
  429: problem('Too often; the detail says when to try again.'),
  503: problem('The name service or a broker is not available; the same request may succeed later.'),
  504: problem('The name service or a broker did not answer in time; the change may have been made.'),
};

/** The answers of a route: the good one, and the problems it may have. */
export function answers(
  good: { readonly status: number; readonly schema?: string; readonly description: string },
  ...bad: (keyof typeof problems)[]
): Record<number, Schema> {
  const { status, schema, description } = good;
  const named = [...new Set([...bad, 503, 504])];
  return {
    [status]: schema === undefined ? { type: 'null', description } : { ...ref(schema), description },
    ...Object.fromEntries(named.map((code) => [code, problems[code] ?? problem('')])),
  };
}

/** An answer that goes on: server-sent events. */
export const stream = (description: string): Record<number, Schema> => goesOn(description, 'text/event-stream');
/** An answer that goes on: a JSON object a line. */
export const lines = (description: string): Record<number, Schema> => goesOn(description, 'application/x-ndjson');

function goesOn(description: string, mediaType: string): Record<number, Schema> {
  return {
    200: { description, content: { [mediaType]: { schema: { type: 'string' } } } },
    ...Object.fromEntries([400, 404, 503, 504].map((code) => [code, problems[code] ?? problem('')])),
  };
}

/** Another page takes over. */
export const redirects = (description: string, ...bad: (keyof typeof problems)[]): Record<number, Schema> => ({
  302: { type: 'null', description },
  ...Object.fromEntries([...bad, 503].map((code) => [code, problems[code] ?? problem('')])),
});
