/** Up to so long, the platform's search is fast whatever the texts are. */
const shortMax = 64;

/**
 * Whether a text contains another one, in a time that grows with the length of the text alone: the platform's search takes
 * the product of both lengths for texts that are made to be slow (Knuth, Morris and Pratt's way).
 */
export function containing(sought: string): (text: string) => boolean {
  if (sought.length <= shortMax) return (text) => text.includes(sought);
  const { length } = sought;
  /** How much of `sought` is both its beginning and the end of its first i + 1 characters. */
  const again = new Uint16Array(length);
  for (let i = 1, k = 0; i < length; i += 1) {
    while (k > 0 && sought.charCodeAt(i) !== sought.charCodeAt(k)) k = again[k - 1] as number;
    if (sought.charCodeAt(i) === sought.charCodeAt(k)) k += 1;
    again[i] = k;
  }
  return (text) => {
    for (let i = 0, k = 0; i < text.length; i += 1) {
      while (k > 0 && text.charCodeAt(i) !== sought.charCodeAt(k)) k = again[k - 1] as number;
      if (text.charCodeAt(i) === sought.charCodeAt(k)) k += 1;
      if (k === length) return true;
    }
    return false;
  };
}
