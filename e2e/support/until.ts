/** Waits until `find` finds something, looking every 20 ms. */
export async function until<T>(
  what: string | (() => string),
  find: () => T | undefined | false | Promise<T | undefined | false>,
  waitMs = 20_000,
): Promise<T> {
  const endMs = Date.now() + waitMs;
  for (;;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > endMs) throw new Error(`waited ${waitMs} ms for ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
