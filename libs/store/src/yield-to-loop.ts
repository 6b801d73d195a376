/** A rest between the slices of a long computation, so that the event loop goes on meanwhile. */
export function yieldToLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
