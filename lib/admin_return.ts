/**
 * Where an operator goes after signing in: back to the page that was wanted, and never off this console. It refuses
 * whatever is not plainly one of our own /admin addresses.
 */

export const consoleHome = '/admin/orders';

/** The wanted address if it is ours, else the order list. Other sites, `//host`, backslashes and the login itself are not. */
export function returnPath(wanted: unknown): string {
  if (typeof wanted !== 'string' || wanted.length > 1_024) return consoleHome;
  if (!/^\/admin(?:\/[\w./-]*)?(?:\?[\w.~%=&*+:@/-]*)?$/.test(wanted)) return consoleHome;
  const { pathname, search } = new URL(wanted, 'http://console.invalid');
  const inside = pathname === '/admin' || pathname.startsWith('/admin/');
  return inside && !pathname.startsWith('/admin/login') ? pathname + search : consoleHome;
}

/** The login's address that leads back to `path` afterwards. */
export function loginPath(path: string): string {
  return path === consoleHome ? '/admin/login' : `/admin/login?next=${encodeURIComponent(path)}`;
}
