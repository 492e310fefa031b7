/** An address that leads nowhere, an order that does not exist, or one that is none of the visitor's business. */
import { words } from '../../lib/words.ts';
import { languageOfPage } from '../language.ts';
import { Notice } from './notice.tsx';

export default async function NotFound() {
  const { missing } = words[await languageOfPage()];
  return (
    <Notice icon="empty" title={missing.title} text={missing.text} testid="not-found">
      <a className="button primary" href="/">
        {missing.back}
      </a>
    </Notice>
  );
}
