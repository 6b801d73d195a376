import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui';

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 40" height="40">
<path d="M4 34 L27 11 L31 15 Z" fill="#f5a623" opacity=".55"/><path d="M10 36 L29 13 L32 18 Z" fill="#f5a623" opacity=".8"/>
<circle cx="31" cy="12" r="7" fill="#fff"/>
<text x="46" y="26" fill="#fff" font-family="sans-serif" font-size="20" font-weight="600">CometMQ</text></svg>`;

/**
 * The page that shows the OpenAPI document. It asks nobody but us for anything, over http as over https: a directive that
 * turns http into https would leave it blank wherever there is no certificate.
 */
export const docsPage: FastifySwaggerUiOptions = {
  routePrefix: '/docs',
  uiConfig: { deepLinking: true },
  theme: {
    title: 'CometMQ administration API',
    favicon: [{ filename: 'comet.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: Buffer.from(logo) }],
  },
  logo: { type: 'image/svg+xml', content: Buffer.from(logo) },
  staticCSP: {
    'default-src': ["'self'"],
    'base-uri': ["'self'"],
    'font-src': ["'self'", 'data:'],
    'frame-ancestors': ["'none'"],
    'img-src': ["'self'", 'data:'],
    'object-src': ["'none'"],
    'script-src': ["'self'"],
    'script-src-attr': ["'none'"],
    'style-src': ["'self'", "'unsafe-inline'"],
  },
};
