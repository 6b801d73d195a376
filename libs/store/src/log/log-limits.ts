import { KiB, MiB } from '@cometmq/model';

export interface LogLimits {
  /** A segment's file is not made longer than this. */
  readonly segmentBytes: number;
  /** Header included. */
  readonly recordBytesMax: number;
  /** A batch takes no further record once it has this many bytes. */
  readonly batchBytesMax: number;
  /** Bytes that may wait for their commit. Reserved records may wait with as many again; where nothing waits, any size is taken. */
  readonly pendingBytesMax: number;
  /** Newest records kept in memory for readers. */
  readonly tailCacheBytes: number;
  /** Older blocks kept in memory for readers, once there are some. */
  readonly blockCacheBytes: number;
  /** Zeros kept ahead of the last record. */
  readonly aheadBytes: number;
  /** Space that is given back when the disk is full. */
  readonly reserveBytes: number;
  /** And space that is given to compaction then, so that it can make more. */
  readonly compactionReserveBytes: number;
  /** The disk counts as full when less than this is free on it. */
  readonly freeBytesMin: number;
}

export const logLimits: LogLimits = {
  segmentBytes: 256 * MiB,
  recordBytesMax: 8 * MiB,
  batchBytesMax: 4 * MiB,
  pendingBytesMax: 64 * MiB,
  tailCacheBytes: 32 * MiB,
  blockCacheBytes: 16 * MiB,
  aheadBytes: 16 * MiB,
  reserveBytes: 32 * MiB,
  compactionReserveBytes: 32 * MiB,
  freeBytesMin: 64 * MiB,
};

/** No record of any version is larger: what a reader believes a size up to. */
export const recordBytesCeiling = 64 * MiB;
/** What readers load at a time, once neighbours are wanted. */
export const readBlockBytes = 256 * KiB;
