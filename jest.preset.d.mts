import type { Config } from 'jest';

export const common: Config;
export function reportOf(projectRoot: string): string;
export function project(folder: string, more?: Config): Config;
