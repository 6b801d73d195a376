/** Adds to a list of listeners. Answers how to take it out again, which is not to be done from inside one of them. */
export function addTo<T>(list: T[], one: T): () => void {
  list.push(one);
  return () => {
    const at = list.indexOf(one);
    if (at >= 0) list.splice(at, 1);
  };
}
