/** What a PromQL expression asks for, as far as it can be held against what is published. */
export interface Asked {
  /** Each metric, with the labels that are matched. */
  readonly selectors: readonly { readonly name: string; readonly labels: readonly string[] }[];
  /** Labels that series are grouped or matched by. */
  readonly by: readonly string[];
  /** Words that are neither a metric of ours nor anything of PromQL's. */
  readonly unknown: readonly string[];
  /** Labels that the expression itself makes. */
  readonly made: readonly string[];
}

const operators = new Set([
  ...['and', 'or', 'unless', 'offset', 'by', 'on', 'bool', 'ignoring', 'without', 'group_left', 'group_right'],
]);

export function askedBy(expr: string): Asked {
  const selectors: { name: string; labels: string[] }[] = [];
  const by: string[] = [];
  const unknown: string[] = [];
  const made: string[] = [];
  const rest = expr
    .replace(/(\w+)\{([^}]*)\}/g, (_, name: string, matchers: string) => {
      selectors.push({
        name,
        labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
      });
      return '0';
    })
    .replace(/\b(by|on|ignoring|without)\s*\(([^)]*)\)/g, (_, _word, labels: string) => {
      by.push(...labels.split(',').map((label) => label.trim()));
      return '';
    })
    .replace(/\[[^\]]*\]/g, '')
    .replace(/"(\w*)"/g, (_, text: string) => {
      if (text !== '') made.push(text); // What count_values and label_join are given.
      return '0';
    });
  for (const [, word = '', call = ''] of rest.matchAll(/\b([a-z_]\w*)\b\s*(\()?/gi)) {
    if (call === '' && !operators.has(word)) unknown.push(word);
  }
  return { selectors, by, unknown, made };
}
