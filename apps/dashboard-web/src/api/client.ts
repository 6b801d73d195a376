import { operations, type Operations, type Problem } from './schema.js';

/** What goes wrong on this side of the API. */
const ownSentences = {
  apiAway: 'the REST API can not be reached',
  notTheApi: 'something else than the REST API has answered',
  searchBroken: 'the search was broken off before its end',
} as const;
export type OwnSentence = keyof typeof ownSentences;

/** Which sentence it is that the message says in English, and what stands in it. */
interface Said {
  readonly sentence: NonNullable<Problem['sentence']> | OwnSentence;
  readonly params: Readonly<Record<string, string>>;
}

/** A call that did not go well, as the API says it: `code` is the one to branch on. */
export class ApiError extends Error {
  private constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly said: Said | undefined,
  ) {
    super(message);
  }

  static of(sentence: OwnSentence): ApiError {
    return new ApiError('UNREACHABLE', 0, ownSentences[sentence], { sentence, params: {} });
  }

  static ofProblem(problem: Partial<Problem>, status: number): ApiError {
    const { code = 'INTERNAL', detail = `HTTP ${status}`, sentence, params = {} } = problem;
    return new ApiError(code, status, detail, sentence && { sentence, params });
  }
}

export type OperationId = keyof Operations;
export type Answer<Id extends OperationId> = Operations[Id]['answer'];

type Part<Id extends OperationId, Name extends 'params' | 'query' | 'body'> = Operations[Id][Name];
type Input<Id extends OperationId> = (Part<Id, 'params'> extends undefined
  ? { readonly params?: undefined }
  : { readonly params: Part<Id, 'params'> }) & {
  readonly query?: Part<Id, 'query'> | undefined;
  readonly body?: Part<Id, 'body'> | undefined;
};

/** Where the call goes: for links and for what is read as a stream. */
export function pathOf<Id extends OperationId>(id: Id, input: Input<Id>): string {
  const params = (input.params ?? {}) as Readonly<Record<string, string | number>>;
  const path = operations[id][1].replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name])));
  const given = Object.entries(input.query ?? {}).filter(([, value]) => value !== undefined && value !== '');
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return query === '' ? path : `${path}?${query}`;
}

let csrfToken: string | undefined;
/** Said with each call that changes something; of the session that is begun. */
export function keepCsrf(token: string | undefined): void {
  csrfToken = token;
}

/** @throws ApiError */
export async function call<Id extends OperationId>(
  id: Id,
  input: Input<Id>,
  signal?: AbortSignal,
): Promise<Answer<Id>> {
  const { body } = input;
  const response = await fetch(pathOf(id, input), {
    method: operations[id][0],
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(csrfToken !== undefined && { 'x-csrf-token': csrfToken }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  }).catch((caught: unknown) => {
    if (signal?.aborted === true) throw caught;
    throw ApiError.of('apiAway');
  });
  const text = await response.text();
  if (!response.ok) throw problemOf(response.status, text);
  try {
    return (text === '' ? undefined : JSON.parse(text)) as Answer<Id>;
  } catch {
    throw ApiError.of('notTheApi');
  }
}

function problemOf(status: number, text: string): ApiError {
  try {
    return ApiError.ofProblem(JSON.parse(text) as Partial<Problem>, status);
  } catch {
    return ApiError.ofProblem({}, status);
  }
}
