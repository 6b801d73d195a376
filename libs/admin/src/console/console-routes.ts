import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { firstPage, type ConsoleFiles } from './console-files.js';

/** The console asks nobody but us for anything; styles are set by its scripts too. */
const policy = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Pages of the console: its files, and its first page for every address that is a view of it. */
export function consoleRoutes(app: FastifyInstance, files: ConsoleFiles): void {
  app.get('/', async (request, reply) => sendFirstPage(request, reply, files));
  app.get('/index.html', async (_request, reply) => reply.redirect('/'));
  app.get<{ Params: { readonly '*': string } }>('/assets/*', async (request, reply) =>
    send(request, reply, files, `assets/${request.params['*']}`),
  );
  app.get('/comet.svg', async (request, reply) => send(request, reply, files, 'comet.svg'));
}

/** Whether the request is a browser's that was given the address of a view. */
export function asksForView({ method, headers, url }: FastifyRequest): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  if (/^\/(api|docs|assets|openapi\.json)(\/|\?|$)/.test(url)) return false;
  return headers.accept?.includes('text/html') === true;
}

export function sendFirstPage(request: FastifyRequest, reply: FastifyReply, files: ConsoleFiles): FastifyReply {
  return send(request, reply, files, firstPage);
}

function send(request: FastifyRequest, reply: FastifyReply, files: ConsoleFiles, path: string): FastifyReply {
  const file = files.find(path, /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? '')));
  if (!file) {
    reply.callNotFound();
    return reply;
  }
  reply
    .type(file.type)
    .header('vary', 'accept-encoding')
    .header('cache-control', file.lasting ? 'public, max-age=31536000, immutable' : 'no-cache')
    .header('content-security-policy', policy);
  if (file.gzipped) reply.header('content-encoding', 'gzip');
  return reply.send(file.bytes);
}
