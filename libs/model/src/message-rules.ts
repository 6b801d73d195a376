import { KiB, MiB } from './units.js';

/** What a message may have, whoever makes it, where a node's settings say nothing else. */
export const messageRules = {
  bodyBytesMax: 4 * MiB,
  /** Of user properties, tag and keys together. */
  propertyBytesMax: 16 * KiB,
  propertiesMax: 128,
} as const;
