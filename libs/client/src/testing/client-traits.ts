import type { ClientTraits } from '../broker-link.js';

/** A client of whom nothing else matters. */
export const someTraits: ClientTraits & { readonly clientType: number } = {
  clientType: 2,
  language: 'JAVA',
  version: '5.0.8',
  streaming: true,
};
