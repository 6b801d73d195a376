import { parseGrpcTimeout } from './grpc-timeout.js';

it.each([
  ['3S', 3_000],
  ['250m', 250],
  ['99999999u', 99_999.999],
  ['1n', 0.000_001],
  ['1H', 3_600_000],
  ['3600S', 3_600_000],
  ['0S', 0],
])('%s is %d ms', (text, ms) => {
  expect(parseGrpcTimeout(text)).toBeCloseTo(ms, 6);
});

// The official clients' Telemetry streams; 32 bits of milliseconds would make some of these negative.
it.each(['31535999M', '31535999S', '31536000M', '5256000M', '99999999H'])('%s means never', (text) => {
  expect(parseGrpcTimeout(text)).toBeUndefined();
});

it.each([undefined, '', 'S', '123456789S', '3', '3x', '-3S', '3.5S', ' 3S'])('%s is none', (text) => {
  expect(parseGrpcTimeout(text)).toBeUndefined();
});
