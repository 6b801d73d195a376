/** `vite` in this folder serves the console with hot reload against a REST API at 127.0.0.1:8082. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: {
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'], // They know light-dark().
    // A page of one's own machine: what is loaded later is asked for when it is needed.
    modulePreload: false,
    reportCompressedSize: false,
    assetsInlineLimit: 0, // The content security policy allows no data: but images.
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8082', '/docs': 'http://127.0.0.1:8082' } },
});
