/**
 * The `grpc-timeout` header: at most eight digits and a unit. Official clients send years on their Telemetry streams
 * (the Java client `31535999M`), so this is plain floating point, and what is longer than a day counts as "never".
 */

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

const neverMs = 24 * 3_600_000;

/** Milliseconds; undefined for none, for more than a day, and for what is no timeout at all. */
export function parseGrpcTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const digits = text.length - 1;
  const unit = unitMs[text.charAt(digits)];
  if (unit === undefined || digits < 1 || digits > 8) return undefined;
  let value = 0;
  for (let i = 0; i < digits; i += 1) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  const ms = value * unit;
  return ms > neverMs ? undefined : ms;
}
