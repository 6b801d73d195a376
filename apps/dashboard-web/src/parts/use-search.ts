import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useState } from 'react';

import { ApiError, pathOf } from '../api/client.js';
import { serverEvents } from '../api/events.js';
import type { Message, Operations, Problem } from '../api/schema.js';

type Query = Operations['searchMessages']['query'];

export interface SearchState {
  readonly items: readonly Message[];
  readonly looked: number;
  readonly left: number;
  readonly running: boolean;
  /** By who asked, maybe before anything was looked at. */
  readonly stopped: boolean;
  /** Where it would go on, also while it runs; undefined: everything was looked at. */
  readonly next: string | undefined;
  readonly error: ApiError | undefined;
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
}

const fresh: SearchState = {
  ...{ items: [], looked: 0, left: 0, running: false, stopped: false, next: undefined, error: undefined, missing: [] },
};

/** A search whose results stream in. It stops when the page is left, when it is told to, and when a page is full. */
export function useSearch(query: Query | undefined) {
  const [state, setState] = useState(fresh);
  const [run, setRun] = useState<{ readonly query: Query; readonly abort: AbortController }>();
  const key = JSON.stringify(query);

  useEffect(() => {
    setState(fresh);
    const asked = key === undefined ? undefined : (JSON.parse(key) as Query);
    setRun(asked && { query: asked, abort: new AbortController() });
  }, [key]);

  useEffect(() => {
    if (!run) return undefined;
    const { signal } = run.abort;
    void follow(run.query, signal, (change) => {
      if (!signal.aborted) setState(change);
    });
    return () => run.abort.abort();
  }, [run]);

  const { next, error } = state;
  const client = useQueryClient();
  useEffect(() => {
    // Whether the session is over is asked where it is known.
    if (error?.status === 401) void client.invalidateQueries({ queryKey: ['describeSession'] });
  }, [client, error]);
  const again = useCallback(() => {
    if (!run) return;
    const { after: _from, ...query } = run.query;
    setState(fresh);
    setRun({ query, abort: new AbortController() });
  }, [run]);
  const goOn = useCallback(() => {
    if (!run) return;
    const from = next === undefined ? {} : { after: next };
    setRun({ query: { ...run.query, ...from }, abort: new AbortController() });
  }, [run, next]);
  const stop = useCallback(() => {
    run?.abort.abort();
    setState((known) => ({ ...known, running: false, stopped: true }));
  }, [run]);
  return { ...state, goOn, again, stop };
}

async function follow(
  query: Query,
  signal: AbortSignal,
  change: (step: (known: SearchState) => SearchState) => void,
): Promise<void> {
  let before = 0;
  let isOver = false;
  change((known) => {
    before = known.looked;
    return { ...known, running: true, stopped: false, error: undefined };
  });
  try {
    for await (const { event, data } of serverEvents(pathOf('searchMessages', { query }), signal)) {
      if (event === 'found') change((known) => ({ ...known, items: withOne(known.items, data as Message) }));
      else if (event === 'progress') {
        const { looked, ...told } = data as Pick<SearchState, 'looked' | 'left' | 'missing'> & { next?: string };
        change((known) => ({ ...known, looked: before + looked, next: undefined, ...told }));
      } else if (event === 'end') {
        isOver = true;
        change((known) => ({ ...known, next: (data as { next?: string }).next }));
      } else if (event === 'problem') {
        isOver = true;
        const problem = data as Problem;
        change((known) => ({ ...known, error: ApiError.ofProblem(problem, problem.status) }));
      }
    }
    if (!isOver) throw ApiError.of('searchBroken');
  } catch (caught) {
    const error = caught instanceof ApiError ? caught : ApiError.of('apiAway');
    change((known) => ({ ...known, error }));
  }
  change((known) => ({ ...known, running: false }));
}

/** A search that was stopped within a part goes on at its beginning: what was found there is found again. */
function withOne(items: readonly Message[], one: Message): readonly Message[] {
  return items.some(({ id }) => id === one.id) ? items : [...items, one];
}
