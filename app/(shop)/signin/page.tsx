/**
 * Signing in did not work: says why and offers one button. It never sends anybody on by itself, so a fault that
 * stays cannot become a loop.
 */
import type { Metadata } from 'next';
import { allowedReturnPath, signInFaults } from '../../../lib/oauth.ts';
import { words } from '../../../lib/words.ts';
import { languageOfPage } from '../../language.ts';
import { Notice } from '../notice.tsx';

export const dynamic = 'force-dynamic';

type Query = { searchParams: Promise<Record<string, string | string[] | undefined>> };

const one = (value: string | string[] | undefined): string | null =>
  typeof value === 'string' ? value : null;

export async function generateMetadata(): Promise<Metadata> {
  return { title: words[await languageOfPage()].signin.title };
}

export default async function SignIn({ searchParams }: Query) {
  const query = await searchParams;
  const { signin, pay } = words[await languageOfPage()];
  const return_path = allowedReturnPath(one(query.return_to));
  const fault = signInFaults.find((known) => known === query.fault) ?? 'expired';
  const { title, text } = signin.faults[fault];
  return (
    <Notice
      icon={fault === 'unavailable' ? 'wait' : 'warn'}
      title={title}
      text={text}
      testid={`signin-${fault}`}
    >
      <a
        className="button primary"
        href={`/api/wechat/oauth?return_to=${encodeURIComponent(return_path)}`}
        data-testid="signin-retry"
      >
        {signin.retry}
      </a>
      <a className="button plain" href="/">
        {pay.back_to_shop}
      </a>
    </Notice>
  );
}
