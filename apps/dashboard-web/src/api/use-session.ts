import { useApi } from './use-api.js';

/** Who is signed in, and whether anybody has to be. */
export function useSession() {
  return useApi('describeSession', {}, { everyMs: 60_000 });
}
