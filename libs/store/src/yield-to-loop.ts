let count = 0;

/** A rest between the slices of a long computation, so that the event loop goes on meanwhile. */
export function yieldToLoop(): Promise<void> {
  count += 1;
  return new Promise((resolve) =>
    setImmediate(() => {
      count -= 1;
      resolve();
    }),
  );
}

/** How many rest now. Who makes time itself lets none pass meanwhile: a turn of the loop is nothing beside a millisecond. */
export function resting(): number {
  return count;
}
