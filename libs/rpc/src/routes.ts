/** From services to the paths they are called by: `/package.Service/Method`. */
import { assert } from '@cometmq/shared';
import type { GrpcMethod, GrpcService } from './grpc-server.js';

export interface Route {
  readonly path: string;
  readonly method: GrpcMethod;
}

export function routesOf(services: readonly GrpcService[]): ReadonlyMap<string, Route> {
  const routes = new Map<string, Route>();
  for (const service of services) {
    for (const [name, method] of Object.entries(service.methods)) {
      const path = `/${service.name}/${name}`;
      assert(!routes.has(path), `one method for ${path}`);
      routes.set(path, { path, method });
    }
  }
  return routes;
}
