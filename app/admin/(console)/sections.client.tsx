'use client';
/** The console's sections; a further page is one more row here. */
import Link from 'next/link';
import { usePathname } from 'next/navigation';

const sections = [{ href: '/admin/orders', title: '订单' }];

export function Sections() {
  const here = usePathname();
  return (
    <nav className="bar-nav" aria-label="柜台">
      {sections.map(({ href, title }) => (
        <Link
          key={href}
          href={href}
          prefetch={false}
          aria-current={here === href || here.startsWith(`${href}/`) ? 'page' : undefined}
        >
          {title}
        </Link>
      ))}
    </nav>
  );
}
