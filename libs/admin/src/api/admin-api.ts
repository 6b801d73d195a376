import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { MqError } from '@cometmq/shared';

import type { ConsoleFiles } from '../console/console-files.js';
import { asksForView, consoleRoutes, sendFirstPage } from '../console/console-routes.js';
import type { TrustedProxies } from '../trusted-proxies.js';
import { addAccess, beginAsAnyone } from './access.js';
import { auditRoutes } from './audit-routes.js';
import { addAudit } from './audit.js';
import { alertRoutes } from './alert-routes.js';
import { backupRoutes } from './backup-routes.js';
import { clientRoutes } from './client-routes.js';
import { clusterRoutes } from './cluster-routes.js';
import type { AdminContext } from './context.js';
import { deadLetterRoutes } from './dead-letter-routes.js';
import { deletedRoutes } from './deleted-routes.js';
import { delayedRoutes } from './delayed-routes.js';
import { groupRoutes } from './group-routes.js';
import { guard } from './guard.js';
import { passAssertion, problemMediaType, problemOf, retryAfterOf } from './problems.js';
import { messageRoutes } from './message-routes.js';
import { oidcRoutes } from './oidc-routes.js';
import { progressRoutes } from './progress-routes.js';
import { schemas } from './schemas.js';
import { setRoutes } from './set-routes.js';
import { setStageRoutes } from './set-stage-routes.js';
import { liteRoutes } from './lite-routes.js';
import { secondFactorRoutes } from './second-factor-routes.js';
import { sessionRoutes } from './session-routes.js';
import { topicRoutes } from './topic-routes.js';
import { transactionRoutes } from './transaction-routes.js';
import { tokenRoutes } from './token-routes.js';
import { userRoutes } from './user-routes.js';
import { validationError } from './validation.js';

export interface AdminApiOptions {
  readonly context: AdminContext;
  readonly host: string;
  readonly hostNames: readonly string[];
  /** Left out: nobody says whose request it is. */
  readonly proxies?: TrustedProxies | undefined;
  readonly version: string;
  /** Aborted when the process stops: answers that go on have to end. */
  readonly stopping: AbortSignal;
  /** The console's pages; left out, or not built: the pages of the document stand in their place. */
  readonly console?: ConsoleFiles | undefined;
}

/** A draft with 64 retry delays is below 2 KiB. */
const bodyBytesMax = 64 * 1024;
/** A name of 127 characters, each of them escaped. */
const nameBytesMax = 512;

/**
 * The REST API under /api/v1, its OpenAPI document at /openapi.json and, for people, its pages at /docs. Everything that
 * can go wrong, in whatever layer, leaves as a problem document.
 */
export async function buildAdminApi(options: AdminApiOptions): Promise<FastifyInstance> {
  return buildApp(options, async (app) => {
    serveWhenAsked(app, () => buildDocumented(options));
    if (options.console?.exists === true) consoleRoutes(app, options.console);
    else app.get('/', async (_request, reply) => reply.redirect('/docs'));
  });
}

/** The same once more, with the document and the pages that tell of it. */
async function buildDocumented(options: AdminApiOptions): Promise<FastifyInstance> {
  const { addOpenApi } = await import('./open-api.js');
  return buildApp(options, (app) => addOpenApi(app, options.version));
}

/** Document and pages cost more memory and time than all the rest, and most processes are never asked for them. */
function serveWhenAsked(app: FastifyInstance, build: () => Promise<FastifyInstance>): void {
  let documented: Promise<FastifyInstance> | undefined;
  const forward = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    documented ??= build().catch((caught: unknown) => {
      documented = undefined; // The next one who asks has it built again.
      throw caught;
    });
    const pages = await documented;
    reply.hijack();
    pages.routing(request.raw, reply.raw);
    return reply;
  };
  for (const url of ['/openapi.json', '/docs', '/docs/*']) app.get(url, forward);
  app.addHook('onClose', async () => (await documented?.catch(() => undefined))?.close());
}

async function buildApp(
  options: AdminApiOptions,
  addMore: (app: FastifyInstance) => Promise<void>,
): Promise<FastifyInstance> {
  const { context, host, hostNames, proxies, stopping } = options;
  const { log } = context;
  const app = fastify({
    bodyLimit: bodyBytesMax,
    trustProxy: proxies ? (address) => proxies.has(address) : false,
    routerOptions: { maxParamLength: nameBytesMax, ignoreTrailingSlash: true },
    rewriteUrl: ({ url }) => literalPrefixes(url ?? '/'),
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: false,
        allErrors: true,
        verbose: true,
        discriminator: true,
      },
    },
    schemaErrorFormatter: (errors, part) => {
      try {
        return validationError(errors, part);
      } catch (caught) {
        return MqError.from(caught); // Thrown from here it would be nobody's, and end the process.
      }
    },
    // A URL that can't even be read gets here before any hook.
    frameworkErrors: (error, _request, reply) => void sendError(error, reply),
  });

  const sendError = (caught: unknown, reply: FastifyReply): FastifyReply => {
    passAssertion(caught);
    const { error, status } = understood(caught);
    if (error.code === 'INTERNAL') log.error({ err: caught }, 'a request to the REST API failed');
    const problem = problemOf(error, status);
    if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="CometMQ"');
    const retryAfter = retryAfterOf(problem);
    if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
    return reply.code(problem.status).type(problemMediaType).send(JSON.stringify(problem));
  };

  // The reports have the shape of their schemas (a spec holds them to it); compiling writers for them takes 0.2 s of CPU.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.removeContentTypeParser('text/plain'); // What is no JSON is answered 415, and no form of another site gets in.
  app.setErrorHandler((caught, _request, reply) => sendError(caught, reply));
  const pages = options.console?.exists === true ? options.console : undefined;
  app.setNotFoundHandler((request, reply) => {
    if (pages && asksForView(request)) return sendFirstPage(request, reply, pages);
    const what = `there is no ${request.method} ${pathOf(request)}; /docs shows what there is`;
    return sendError(new MqError('NOT_FOUND', what), reply);
  });
  app.decorate('stopping', stopping);
  beginAsAnyone(app);
  if (context.audit) addAudit(app, context.audit, context);
  app.addHook('onRequest', async (request) => guard(request, host, hostNames));
  addAccess(app, context.identity);
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.header('referrer-policy', 'no-referrer');
    if (!reply.hasHeader('content-security-policy')) {
      reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
    }
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
  app.addHook('preValidation', async (request) => readNumbers(request));

  for (const [name, schema] of Object.entries(schemas)) app.addSchema({ $id: name, ...schema });
  await addMore(app); // Before the routes it may want to see.
  await app.register(
    async (api) => {
      clusterRoutes(api, context);
      setRoutes(api, context);
      setStageRoutes(api, context);
      topicRoutes(api, context);
      liteRoutes(api, context);
      deletedRoutes(api, context);
      groupRoutes(api, context);
      progressRoutes(api, context);
      clientRoutes(api, context);
      delayedRoutes(api, context);
      transactionRoutes(api, context);
      messageRoutes(api, context);
      deadLetterRoutes(api, context);
      alertRoutes(api, context);
      backupRoutes(api, context);
      sessionRoutes(api, context);
      secondFactorRoutes(api, context);
      oidcRoutes(api, context);
      userRoutes(api, context);
      tokenRoutes(api, context);
      auditRoutes(api, context);
    },
    { prefix: '/api/v1' },
  );
  await app.ready();
  return app;
}

/** Ours, or one of the framework's own with the status it chose; a stranger's words are never shown. */
function understood(caught: unknown): { error: MqError; status?: number } {
  if (caught instanceof MqError) return { error: caught };
  const { statusCode, code, message } = caught as Partial<FastifyError>;
  // Its caller has hung up: no failure of ours, and nothing that strangers should fill the log with.
  if (statusCode === 400 && code === 'ECONNRESET') {
    return { error: new MqError('BAD_REQUEST', 'the request was not sent to its end') };
  }
  if (statusCode === undefined || statusCode >= 500 || !code?.startsWith('FST_'))
    return { error: MqError.from(caught) };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return { error: new MqError('BAD_REQUEST', `the body may have ${bodyBytesMax} bytes`), status: 413 };
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return { error: new MqError('BAD_REQUEST', 'the body must be application/json'), status: 415 };
  }
  return { error: new MqError('BAD_REQUEST', message ?? 'the request can not be read'), status: statusCode };
}

/**
 * Names begin with a literal %DLQ% or %RETRY%, and people type them so. `%DL` and `%RE` are no escapes, so nothing else
 * can have been meant.
 */
function literalPrefixes(url: string): string {
  return url.replace(/%(DLQ|RETRY)%(?!25)/g, '%25$1%25');
}

/** A query is text; what its schema calls an integer is made one, and what is none is left for the validator to refuse. */
function readNumbers(request: FastifyRequest): void {
  checkEncoding(request.url);
  const schema = request.routeOptions.schema?.querystring as
    { properties?: Record<string, { type?: string }> } | undefined;
  const query = request.query as Record<string, unknown>;
  for (const [name, { type }] of Object.entries(schema?.properties ?? {})) {
    const value = query[name];
    if (type === 'integer' && typeof value === 'string' && /^\d{1,15}$/.test(value)) query[name] = Number(value);
  }
}

/** What can't be read would be looked for as it stands, and not be found. @throws MqError BAD_REQUEST */
function checkEncoding(url: string): void {
  const at = url.indexOf('?');
  if (at < 0) return;
  try {
    decodeURIComponent(url.slice(at + 1));
  } catch {
    throw new MqError('BAD_REQUEST', 'query: must be UTF-8, percent-encoded where it is no plain letter');
  }
}

function pathOf(request: FastifyRequest): string {
  const path = request.url.split('?')[0] ?? '';
  return path.length > 200 ? `${path.slice(0, 200)}…` : path;
}
