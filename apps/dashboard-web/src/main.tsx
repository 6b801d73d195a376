/** The console: a page that talks to the REST API it was served with, and to nobody else. */
import '@mantine/core/styles.css';
import './console.css';

import { createTheme, MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { router } from './router.js';
import { Session } from './session.js';
import { TextProvider } from './text/text.js';

const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 8, dark: 4 },
  autoContrast: true,
  fontFamily: 'system-ui, sans-serif',
  fontFamilyMonospace: 'ui-monospace, monospace',
});
const queries = new QueryClient({ defaultOptions: { queries: { retry: false, staleTime: 1_000 } } });

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <TextProvider>
          <QueryClientProvider client={queries}>
            <Session>
              <RouterProvider router={router} />
            </Session>
          </QueryClientProvider>
        </TextProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
