import type { FastifyRequest } from 'fastify';

/** As it is noted beside what was done: the user; where there are none, the address. */
export function whoAsks({ principal, ip }: Pick<FastifyRequest, 'principal' | 'ip'>): string {
  return principal.name === '' ? ip : principal.name;
}
