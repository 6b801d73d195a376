import { Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

export function NotFound() {
  const words = useWords();
  return <Page title={words.notFound}>{null}</Page>;
}
