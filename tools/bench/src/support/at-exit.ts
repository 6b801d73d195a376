/** What must not outlive this program, however it ends: processes it started, folders it made. */
const acts = new Set<() => void>();

process.on('exit', () => {
  for (const act of [...acts].reverse()) act();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

/** `act` must not wait for anything. Answers how to take it back. */
export function atExit(act: () => void): () => void {
  acts.add(act);
  return () => void acts.delete(act);
}
