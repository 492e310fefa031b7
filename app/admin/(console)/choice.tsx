/** One choice of a filter, as a link: it can be opened, copied, and gone back from. */
import Link from 'next/link';
import type { ReactNode } from 'react';

export function Choice({ href, chosen, children }: { href: string; chosen: boolean; children: ReactNode }) {
  return (
    <Link href={href} prefetch={false} className="choice" aria-current={chosen ? 'true' : undefined}>
      {children}
    </Link>
  );
}
