/** Lite topics' queues are numbered from here; below stand the topic's ordinary queues. No number is given twice. */
export const firstLiteQueue = 65_536;
