'use client';
/** The console's sections, and how many things wait for a person; a further page is one more row here. */
import Link from 'next/link';
import { usePathname } from 'next/navigation';
import { Suspense, use, useEffect, useState } from 'react';
import { ask } from '../ask.client.ts';

const sections = [
  { href: '/admin/orders', title: '订单' },
  { href: '/admin/counter', title: '收款', only: 'counter' },
  { href: '/admin/refunds', title: '退款' },
  { href: '/admin/red-packets', title: '红包', only: 'red_packets' },
  { href: '/admin/statements', title: '对账' },
  { href: '/admin/attention', title: '待处理', counted: true },
  { href: '/admin/audit', title: '操作记录' },
] as const satisfies readonly {
  href: string;
  title: string;
  counted?: true;
  only?: string;
}[];

/** Sections that only some shops have. */
export interface OpenedSections {
  counter: boolean;
  red_packets: boolean;
}

export function Sections({
  waiting,
  opened,
}: {
  waiting: Promise<number | undefined>;
  opened: OpenedSections;
}) {
  const here = usePathname();
  return (
    <nav className="bar-nav" aria-label="柜台">
      {sections
        .filter((section) => !('only' in section) || opened[section.only])
        .map(({ href, title, ...more }) => (
          <Link
            key={href}
            href={href}
            prefetch={false}
            aria-current={here === href || here.startsWith(`${href}/`) ? 'page' : undefined}
          >
            {title}
            {'counted' in more ? (
              <Suspense>
                <Count waiting={waiting} here={here} />
              </Suspense>
            ) : null}
          </Link>
        ))}
    </nav>
  );
}

/** As the server counted when it drew the frame; the frame stays while pages change below it, so each page asks again. */
function Count({ waiting, here }: { waiting: Promise<number | undefined>; here: string }) {
  const drawn = use(waiting);
  const [told, setTold] = useState<{ since: Promise<unknown>; here: string; count: number }>();
  const [first] = useState(here);

  useEffect(() => {
    if (here === first) return;
    let left = false;
    void ask<{ count: number }>('/api/admin/attention').then((answer) => {
      if (!left && answer.ok) setTold({ since: waiting, here, count: answer.body.count });
    });
    return () => {
      left = true;
    };
  }, [here, first, waiting]);

  const count = told?.since === waiting ? told.count : drawn;
  if (count === undefined || count === 0) return null;
  return (
    <span className="badge" data-testid="attention-count">
      {count > 99 ? '99+' : count}
      <span className="unseen"> 件</span>
    </span>
  );
}
