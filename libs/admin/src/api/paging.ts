import { MqError } from '@cometmq/shared';

export interface PageQuery {
  readonly limit?: number;
  readonly after?: string;
  readonly contains?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly next?: string;
}

const limitDefault = 100;

/** @throws MqError BAD_REQUEST for a time span that holds no time */
export function checkTimes(fromMs = 0, toMs = Infinity): void {
  if (fromMs <= toMs) return;
  throw new MqError('BAD_REQUEST', `fromMs: must not be after toMs; ${fromMs} is after ${toMs}`);
}

/** Named things in the order of their names, a page at a time. `after` need not exist (any more). */
export function pageOf<T extends { readonly name: string }>(all: Iterable<T>, query: PageQuery): Page<T> {
  const wanted = query.contains?.toLowerCase();
  const matching: T[] = [];
  for (const item of all) {
    if (wanted === undefined || item.name.toLowerCase().includes(wanted)) matching.push(item);
  }
  matching.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const { after, limit = limitDefault } = query;
  const rest = after === undefined ? matching : matching.filter((item) => item.name > after);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  const total = matching.length;
  return rest.length > items.length && last ? { items, total, next: last.name } : { items, total };
}
