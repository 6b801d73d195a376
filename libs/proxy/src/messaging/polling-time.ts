/**
 * How long a receive may wait (grpc semantics, section 13.2). Short wishes are honoured, long ones are cut, and the
 * answer leaves some time before the client's deadline: Rust's is the polling time itself, and a late answer costs an
 * error and the leases of what it carried.
 *
 * @param wantedMs what the client asks for; undefined: it leaves it to its deadline
 * @param remainingMs until its deadline; undefined: it set none
 */
export function pollingMs(wantedMs: number | undefined, remainingMs: number | undefined, mostMs: number): number {
  const budgetMs = remainingMs === undefined ? Infinity : remainingMs - Math.min(500, Math.max(0, remainingMs) / 10);
  const wishMs = wantedMs ?? (remainingMs === undefined ? mostMs : remainingMs - typicalRequestTimeoutMs / 2);
  return Math.max(0, Math.min(wishMs, budgetMs, mostMs));
}

/** All official clients' default. Of a deadline alone, they mean polling time plus this. */
const typicalRequestTimeoutMs = 3_000;
