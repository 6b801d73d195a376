import { anyone, type Principal } from './principal.js';

/** A request as far as it says who makes it. */
export interface SignedCall {
  readonly headers: { get(name: string): string | undefined };
  /** `ip:port` */
  readonly peer: string;
}

/** How an endpoint knows who calls. */
export interface Access {
  /** @param path `/package.Service/Method`. @throws MqError UNAUTHORIZED, TOO_MANY_REQUESTS */
  principalOf(call: SignedCall, path: string, body: Uint8Array): Principal;
  /** The same user as it is now; undefined: it is gone, disabled, or has another secret. */
  renewed(principal: Principal): Principal | undefined;
  /** Called after users or policies have changed: what is open is to be looked at again. */
  onChange(listener: () => void): () => void;
}

/** Nobody has to say who they are, and everybody may do everything. */
export const openAccess: Access = {
  principalOf: () => anyone,
  renewed: (principal) => principal,
  onChange: () => () => undefined,
};
