import { useInfiniteQuery, type InfiniteData } from '@tanstack/react-query';
import { useMemo } from 'react';

import { call, type Answer, type ApiError, type OperationId } from '../api/client.js';

interface PageLike {
  readonly items: readonly unknown[];
  readonly next?: string;
  readonly total?: number;
}
type Paged = { [Id in OperationId]: Answer<Id> extends PageLike ? Id : never }[OperationId];
type Item<Id extends Paged> = Answer<Id> extends { readonly items: readonly (infer T)[] } ? T : never;

/** A list page by page by its cursor; the pages that are open are kept fresh. */
export function usePages<Id extends Paged>(id: Id, input: Parameters<typeof call<Id>>[1], everyMs = 5_000) {
  const pages = useInfiniteQuery<
    Answer<Id>,
    ApiError,
    InfiniteData<Answer<Id>>,
    readonly unknown[],
    string | undefined
  >({
    queryKey: [id, 'pages', input],
    queryFn: ({ signal, pageParam }) => {
      const query = { ...input.query, ...(pageParam !== undefined && { after: pageParam }) };
      return call(id, { ...input, query }, signal);
    },
    initialPageParam: undefined,
    getNextPageParam: (last) => (last as PageLike).next,
    // All pages that are open are asked for anew: the more there are, the less often.
    refetchInterval: ({ state }) => everyMs * Math.max(1, state.data?.pages.length ?? 1),
  });
  const { data } = pages;
  const items = useMemo(
    () => (data?.pages ?? []).flatMap((page) => (page as PageLike).items as readonly Item<Id>[]),
    [data],
  );
  return { pages, items, total: (data?.pages[0] as PageLike | undefined)?.total, first: data?.pages[0] };
}
