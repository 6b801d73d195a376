/** Numbers, sizes and times as people read them. */
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const count = (value: number): string => (value < 1_000_000 ? whole.format(value) : short.format(value));

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
export function bytes(value: number): string {
  const power = value < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  return `${power === 0 || scaled >= 100 ? whole.format(scaled) : scaled.toFixed(1)} ${units[power] ?? ''}`;
}

export const percent = (part: number): string => `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %`;

const pad = (value: number, digits = 2): string => String(value).padStart(digits, '0');

/** Local time to the millisecond, biggest first, so that columns sort as they read. */
export function moment(ms: number): string {
  const at = new Date(ms);
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return `${day} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
}

/** As much of a moment as a line over a day needs: its day where that begins. */
export function clock(ms: number): string {
  const at = new Date(ms);
  const isMidnight = at.getHours() === 0 && at.getMinutes() === 0;
  return isMidnight
    ? `${pad(at.getMonth() + 1)}-${pad(at.getDate())}`
    : `${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

const steps = [
  { unit: 'd', ms: 86_400_000 },
  { unit: 'h', ms: 3_600_000 },
  { unit: 'min', ms: 60_000 },
  { unit: 's', ms: 1_000 },
] as const;

const chineseUnits = { d: '天', h: '小时', min: '分', s: '秒', ms: '毫秒' } as const;

/** As the page's language has it. */
const unitWord = (unit: keyof typeof chineseUnits): string =>
  document.documentElement.lang === 'zh' ? chineseUnits[unit] : unit;

/** The two largest units, as in "3 h 20 min". */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ${unitWord('ms')}`;
  const from = steps.findIndex((step) => ms >= step.ms);
  const large = steps[from] ?? steps[3];
  const small = steps[from + 1];
  const rest = ms % large.ms;
  const head = `${Math.floor(ms / large.ms)} ${unitWord(large.unit)}`;
  return small && rest >= small.ms ? `${head} ${Math.floor(rest / small.ms)} ${unitWord(small.unit)}` : head;
}

const languages: Readonly<Record<string, string>> = {
  ...{ JAVA: 'Java', CPP: 'C++', DOT_NET: '.NET', DOTNET: '.NET', GO: 'Go', GOLANG: 'Go', RUST: 'Rust' },
  ...{ PYTHON: 'Python', NODE_JS: 'Node.js', RUBY: 'Ruby', DART: 'Dart', KOTLIN: 'Kotlin' },
};

/** The language of a client's SDK, as people write it; another one stays as the client said it. */
export const sdk = (language: string): string => languages[language] ?? language;
