import { aboutText, durationText } from './printer.js';

describe('durations', () => {
  it.each([
    [2_101_445_942, '24d 7h'],
    [86_400_000, '1d'],
    [200_400, '3m 20s'],
    [59_600, '1m'],
    [1_499, '1.5s'],
    [999, '999ms'],
    [0, '0ms'],
  ])('of %i ms are told to people as %s', (ms, text) => {
    expect(aboutText(ms)).toBe(text);
  });

  it.each([
    [604_800_000, '7d'],
    [90_000, '90s'],
    [1_500, '1500ms'],
  ])('of %i ms that are a setting are told exactly: %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });
});
