/**
 * For dependency-cruiser: no files may import one another in a circle, type imports counted: whoever reads one of them
 * must read all. (Circles between projects can't exist: the layers forbid them.)
 */
/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [{ name: 'circle', severity: 'error', from: {}, to: { circular: true } }],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'], exportsFields: ['exports'] },
    exclude: { path: ['/node_modules/', '^dist/', '/fixtures/', '/generated/'] },
    doNotFollow: { path: 'node_modules' },
  },
};
