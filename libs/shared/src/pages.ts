import { MqError } from './errors.js';

export interface PageOf<Cursor> {
  /** Where the next page begins; undefined: this is the last one. */
  readonly next?: Cursor | undefined;
}

/**
 * The pages of a list that somebody else gives, one after the other. Whoever gives the same pages again and again is found
 * out, whatever the length of the round (Brent's way: a cursor is kept for twice as long each time).
 * @throws MqError INTERNAL, and what `ask` throws
 */
export async function* pagesOf<Cursor extends string | number, Page extends PageOf<Cursor>>(
  ask: (after: Cursor | undefined) => Promise<Page>,
): AsyncGenerator<Page> {
  let after: Cursor | undefined;
  let kept: Cursor | undefined;
  let keptFor = 1;
  let age = 0;
  do {
    const page = await ask(after);
    yield page;
    after = page.next;
    if (after !== undefined && after === kept) {
      throw new MqError('INTERNAL', 'the pages of a list come again and again without an end');
    }
    age += 1;
    if (age === keptFor) {
      kept = after;
      keptFor *= 2;
      age = 0;
    }
  } while (after !== undefined);
}
