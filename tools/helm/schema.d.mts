/** The schema of the chart's values. */
export declare const schema: object;
