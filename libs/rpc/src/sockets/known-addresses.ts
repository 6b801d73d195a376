/**
 * Looks up names for connections between our processes, and remembers what it found. Where the name service of the network is
 * away or slow, as on a cluster whose DNS was on the node that died, a name stays where it was last: whoever is there has to
 * show by its certificate and by what it says that it is the one that was looked for.
 */
import dns, { lookup as systemLookup } from 'node:dns';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { hostAndPort, systemClock } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;
type Ask = (hostname: string, options: LookupOptions & { readonly all: true }, answer: Answer) => void;

/** An answer that takes longer is not waited for where there is an older one; it is taken in when it comes. */
const waitMs = 500;
/** Names that were looked up longest ago are forgotten first. */
const namesMax = 10_000;

export class KnownAddresses {
  private readonly known = new Map<string, LookupAddress[]>();
  /** Who waits, by name: one look-up serves them all, as those that are not answered keep a thread each. */
  private readonly asking = new Map<string, Set<Answer>>();

  constructor(
    private readonly clock: Pick<Clock, 'after'>,
    private readonly ask: Ask = systemLookup,
  ) {}

  readonly lookup: LookupFunction = (hostname, options, callback) => {
    let told = false;
    const tell: Answer = (error, addresses) => {
      if (told) return;
      told = true;
      timer.cancel();
      const family = familyOf(options);
      const fitting = addresses.filter((each) => family === 0 || each.family === family);
      const [first] = fitting;
      if (error !== null || first === undefined) callback(error ?? notFound(hostname), options.all === true ? [] : '');
      else if (options.all === true) callback(null, fitting);
      else callback(null, first.address, first.family);
    };
    const timer = this.clock.after(waitMs, () => {
      const addresses = this.known.get(hostname);
      if (addresses) tell(null, addresses);
    });
    this.wait(hostname, options, tell);
  };

  private wait(hostname: string, { hints, order }: LookupOptions, tell: Answer): void {
    const others = this.asking.get(hostname);
    if (others) {
      others.add(tell);
      return;
    }
    const waiting = new Set([tell]);
    this.asking.set(hostname, waiting);
    const how = { ...(hints !== undefined && { hints }), ...(order !== undefined && { order }) };
    this.ask(hostname, { ...how, all: true }, (error, addresses) => {
      this.asking.delete(hostname);
      const found = error === null ? this.remember(hostname, addresses) : this.afterFailure(hostname, error);
      for (const each of waiting) {
        if (found) each(null, found);
        else each(error, []);
      }
    });
  }

  private remember(hostname: string, addresses: LookupAddress[]): LookupAddress[] {
    this.known.delete(hostname);
    this.known.set(hostname, addresses);
    const [oldest] = this.known.keys();
    if (this.known.size > namesMax && oldest !== undefined) this.known.delete(oldest);
    return addresses;
  }

  /** That there is no such name is an answer; that nobody answers is none. */
  private afterFailure(hostname: string, { code }: NodeJS.ErrnoException): LookupAddress[] | undefined {
    if (code === 'ENOTFOUND') this.known.delete(hostname);
    return this.known.get(hostname);
  }
}

/** Of this process: all its connections know what one of them has found. */
export const knownAddresses = new KnownAddresses(systemClock);

/**
 * Clients of ours that look names up by themselves, by what Node.js has for it and in no other way (@grpc/grpc-js, and etcd3 with a
 * copy of it), find them here too. For a whole process, at its start.
 */
export function rememberNames(): void {
  const { lookup } = dns.promises;
  const remembering = (hostname: string, options?: LookupOptions | number): Promise<unknown> => {
    if (typeof options !== 'object' || options.all !== true) return lookup(hostname, options as LookupOptions);
    return new Promise((resolve, reject) => {
      knownAddresses.lookup(hostname, options, (error, addresses) => {
        if (error) reject(error);
        else resolve(addresses);
      });
    });
  };
  dns.promises.lookup = remembering as typeof lookup;
}

/** All IP addresses of a host. @throws Error where nobody knows one */
export function addressesOf(host: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    knownAddresses.lookup(host, { all: true }, (error, addresses) => {
      if (error) reject(error);
      else resolve((addresses as LookupAddress[]).map(({ address }) => address));
    });
  });
}

/** Looks up the host of a `host:port` for later. Ends when there is an answer, whatever it is. */
export function lookUpAhead(address: string): Promise<void> {
  const host = hostAndPort(address)?.host;
  if (host === undefined || isIP(host) !== 0) return Promise.resolve();
  return new Promise((resolve) => knownAddresses.lookup(host, { all: true }, () => resolve()));
}

function familyOf({ family }: LookupOptions): number {
  if (family === 'IPv4') return 4;
  if (family === 'IPv6') return 6;
  return family ?? 0;
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no address of ${hostname}`), { code: 'ENOTFOUND' });
}
