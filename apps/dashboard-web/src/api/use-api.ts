import { useMutation, useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query';

import { call, type Answer, type ApiError, type OperationId } from './client.js';

type Input<Id extends OperationId> = Parameters<typeof call<Id>>[1];

interface ReadOptions {
  /** Asked again so often while the page is looked at. */
  readonly everyMs?: number;
  readonly enabled?: boolean;
  /** With another query the answer before it is no answer: it is not shown meanwhile. */
  readonly fresh?: boolean;
}

/** What a call is about: the thing that its path names. */
const subjectOf = (input: unknown): string => JSON.stringify((input as { params?: unknown }).params ?? null);

/** What the API says, kept fresh. While a broker is away, the last answer stays on the page beside the error. */
export function useApi<Id extends OperationId>(
  id: Id,
  input: Input<Id>,
  { everyMs = 3_000, enabled = true, fresh = false }: ReadOptions = {},
): UseQueryResult<Answer<Id>, ApiError> {
  return useQuery<Answer<Id>, ApiError>({
    queryKey: [id, input],
    queryFn: ({ signal }) => call(id, input, signal),
    refetchInterval: everyMs,
    // Of the same thing, while the answer to another question about it comes; never of another thing.
    placeholderData: (previous, query) =>
      !fresh && query && subjectOf(query.queryKey[1]) === subjectOf(input) ? previous : undefined,
    enabled,
  });
}

/** A change; what is shown is asked for anew once it is made. */
export function useChange<Id extends OperationId>(id: Id) {
  const client = useQueryClient();
  return useMutation<Answer<Id>, ApiError, Input<Id>>({
    mutationFn: (input) => call(id, input),
    onSettled: () => client.invalidateQueries(),
  });
}
