/** One request carries so many messages at most. */
export const batchMax = 32;
