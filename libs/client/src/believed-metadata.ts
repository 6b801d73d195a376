import { followsMetadata, type MetadataVersion } from '@cometmq/model';

/** An instance may be behind for a moment. */
const refusalsTold = 10;

/**
 * What the name service has shown a watcher, as far as it is believed. What has been told is never taken back by another
 * instance that shows less: it may be behind for a moment; or its store is another one, emptied, or set back to a backup,
 * and then what is known here is the better knowledge until the loss is mended.
 */
export class BelievedMetadata {
  private known: MetadataVersion | undefined;
  /** In a row. */
  private refusals = 0;

  constructor(
    /** Told why, once each time, when refusals are no matter of a moment any more. */
    private readonly refused: (reason: string) => void,
  ) {}

  /** Of the whole that an instance shows. @param replaced clusters whose place this one has taken */
  believes(shown: MetadataVersion, replaced: readonly string[]): boolean {
    const { known } = this;
    if (!known || followsMetadata(shown, known) || replaced.includes(known.clusterId)) {
      this.refusals = 0;
      this.known = shown;
      return true;
    }
    this.refusals += 1;
    if (this.refusals === refusalsTold) {
      this.refused(
        `the name service shows metadata of cluster ${shown.clusterId}, generation ${shown.generation}, revision ` +
          `${shown.revision}, which is not what was known until now (cluster ${known.clusterId}, generation ` +
          `${known.generation}, revision ${known.revision}): its store was emptied, replaced or set back. What was known goes ` +
          'on to be used',
      );
    }
    return false;
  }

  /** Of what is believed a change was told. */
  reached(revision: number): void {
    if (this.known) this.known = { ...this.known, revision };
  }
}
