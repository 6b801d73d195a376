/** A rest between the slices of a long computation, so that the event loop goes on meanwhile. */
export function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
