import type { Clock } from '@cometmq/shared';

import { LocalStore } from '../local/local-store.js';
import { FileJournal } from './file-journal.js';
import type { MetadataFiles } from './files.js';

export interface EmbeddedStoreOptions {
  readonly journalBytesMin?: number;
  /** Takes a line when the end of the journal was cut off at the start. */
  readonly say?: (line: string) => void;
}

/**
 * The metadata of a system without etcd, in a folder of its own. What was answered survives `kill -9` and a power cut.
 * One process at a time may hold the folder: whoever builds this holds the lock of the data folder it lies in.
 */
export class EmbeddedStore extends LocalStore {
  constructor(files: MetadataFiles, clock: Clock, options: EmbeddedStoreOptions = {}) {
    super('embedded metadata', new FileJournal(files, options.journalBytesMin, options.say), clock);
  }
}
