/** An address of a process as settings, the metadata and the log name it: `host:port`, an IPv6 host in brackets. */
export interface HostAndPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A name or an address, and nothing that a resolver or a socket throws at: no spaces, no control characters, no URL. */
const form = /^(?:([\p{L}\p{N}._-]{1,253})|\[([\da-fA-F:.]{2,45}(?:%[\w.-]{1,32})?)\]):(\d{1,5})$/u;

/** Undefined: it is no such address. */
export function hostAndPort(address: string): HostAndPort | undefined {
  const [, name, inBrackets, digits] = form.exec(address) ?? [];
  const host = name ?? inBrackets;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
