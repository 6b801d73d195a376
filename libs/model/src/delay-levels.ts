const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** The 18 classic delay levels of remoting clients, from level 1 on. */
export const delayLevelsMs: readonly number[] = [
  ...[1, 5, 10, 30].map((s) => s * second),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map((m) => m * minute),
  ...[1, 2].map((h) => h * hour),
];

/** How long a level delays; a level above the last counts as the last, one below the first as no delay. */
export function delayOfLevelMs(level: number): number {
  if (level < 1) return 0;
  return delayLevelsMs[Math.min(level, delayLevelsMs.length) - 1] ?? 0;
}
