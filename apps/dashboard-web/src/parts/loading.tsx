import { Loader } from '@mantine/core';

import { useWords } from '../text/text.js';

/** Something is on its way. */
export function Loading() {
  return <Loader role="status" aria-label={useWords().loading} size="sm" />;
}
