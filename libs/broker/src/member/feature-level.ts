/** Of the record formats that this release writes and reads. Rises when an older one could not read what is written. */
export const featureLevel = 1;
