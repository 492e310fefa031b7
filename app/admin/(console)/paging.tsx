/** The way on through a keyset list, and back to its beginning. */
import Link from 'next/link';
import { Back } from './back.client.tsx';

export function Paging({
  first,
  next,
}: {
  /** Address of the first page when this is not it. */
  first: string | undefined;
  next: string | undefined;
}) {
  if (first === undefined && next === undefined) return null;
  return (
    <nav className="pages" aria-label="翻页">
      {first === undefined ? null : (
        <>
          <Link href={first} prefetch={false} className="choice" data-testid="page-first">
            回到第一页
          </Link>
          <Back />
        </>
      )}
      {next === undefined ? (
        <span className="none">已到最后</span>
      ) : (
        <Link href={next} prefetch={false} className="choice" rel="next" data-testid="page-next">
          下一页
        </Link>
      )}
    </nav>
  );
}

/** An address with what is chosen, and nothing of what is not. */
export function addressOf(path: string, query: Record<string, string | undefined>): string {
  const chosen = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) chosen.set(name, value);
  return chosen.size === 0 ? path : `${path}?${chosen}`;
}
