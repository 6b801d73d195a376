/** Does it with each of them, so many at once, in their order. Once one has failed, no further one is begun. */
export async function inTurn<T, R>(items: readonly T[], atOnce: number, act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const workOff = async (): Promise<void> => {
    for (const [i, item] of queue) {
      try {
        results[i] = await act(item);
      } catch (caught) {
        while (!queue.next().done);
        throw caught;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, workOff));
  return results;
}
