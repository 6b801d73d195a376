/**
 * Ids, keys and targets of references share one sorted table a segment; the topic and what it is are salted in, so that
 * neither another topic's nor an id taken for a key is found but by chance. Never 0: that says "none".
 */
export function saltedId(topicId: number, idHash: number): number {
  return mix(Math.imul(topicId, 0x9e3779b1) ^ idHash);
}

export function saltedKey(topicId: number, keyHash: number): number {
  return mix(Math.imul(topicId, 0x9e3779b1) ^ keyHash ^ 0x5bd1e995);
}

/** What a reference is found by: the position it refers to. */
export function saltedTarget(position: number): number {
  return mix(Math.imul(Math.floor(position / 2 ** 32), 0x9e3779b1) ^ (position >>> 0) ^ 0x27d4eb2f);
}

function mix(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0 || 1;
}
