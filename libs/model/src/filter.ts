/** What a subscription asks for. An empty or `*` tag expression is everything; tags are joined by `||`. */
export interface FilterExpression {
  readonly type: 'tag' | 'sql';
  readonly expression: string;
}

export const everything: FilterExpression = { type: 'tag', expression: '*' };
