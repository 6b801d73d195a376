/**
 * How many connections from outside a process may have in all, by how many files it may open: a process that has none left
 * can't open the next file of its log, and ends. Whoever listens asks here before a connection is kept, beside its own limit.
 */
export class SocketPlaces {
  private taken = 0;

  constructor(readonly max: number) {}

  /** @param beyond who may have these few more: what tells whether the process lives, and operators */
  full(beyond = 0): boolean {
    return this.taken >= this.max + beyond;
  }

  take(): void {
    this.taken += 1;
  }

  give(): void {
    this.taken -= 1;
  }
}

/** For files (64 segments, 64 indexes, checkpoints), connections to other processes, and what HTTP ports have beyond. */
const reserved = 320;
const placesMin = 32;
/** What a port that speaks HTTP/1 may take beyond the places of all: /healthz answers while clients have them all. */
export const placesBeyond = 32;

/** @param openFilesMax the limit of the process, "unlimited" or a number, as the system says it */
export function placesIn(openFilesMax: unknown): SocketPlaces {
  const files = Number(openFilesMax);
  return new SocketPlaces(files > 0 ? Math.max(placesMin, files - reserved) : Infinity);
}

let ofProcess: SocketPlaces | undefined;

/** Those of this process: all its ports share them. */
export function processPlaces(): SocketPlaces {
  return (ofProcess ??= placesIn(openFilesLimit()));
}

/** Windows has none. */
function openFilesLimit(): unknown {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const { excludeNetwork = false } = report;
  report.excludeNetwork = true; // Else it looks up names of whoever is connected.
  const { userLimits } = report.getReport() as { readonly userLimits?: { readonly open_files?: { soft?: unknown } } };
  report.excludeNetwork = excludeNetwork;
  return userLimits?.open_files?.soft;
}
