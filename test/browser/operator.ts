/** An operator at a desktop, far from Beijing, with a name and a password for the console. */
import type { Browser, BrowserContextOptions, Cookie } from 'playwright-core';
import { setAdmin } from '../../lib/admin_account.ts';
import { openDb } from '../../lib/db.ts';
import type { Shop } from '../setup/shop.ts';
import { openBrowser, type Visit } from './phones.ts';

export const operator = { username: 'keeper', password: 'only for this test 31415' };

/** Gives the shop its operator. */
export async function hire({ database_url }: Shop): Promise<void> {
  const db = openDb(database_url, { connections: 1 });
  try {
    await setAdmin(db, operator.username, new Date(), operator.password);
  } finally {
    await db.$disconnect();
  }
}

/** A desktop in New York, not signed in. */
export function openDesk(browser: Browser, shop: Shop, options: BrowserContextOptions = {}): Promise<Visit> {
  return openBrowser(browser, shop, {
    viewport: { width: 1280, height: 800 },
    timezoneId: 'America/New_York',
    ...options,
  });
}

/** Opens a page of the console through the login, as somebody who was sent its link. */
export async function enter({ page, shop }: Visit, path = '/admin'): Promise<void> {
  await page.goto(shop.origin + path);
  await page.getByTestId('login-username').fill(operator.username);
  await page.getByTestId('login-password').fill(operator.password);
  await page.getByTestId('login-submit').click();
  await awake({ page }, 'logout');
}

/** A desktop of somebody who has signed in elsewhere before, at a page of the console. */
export async function openSignedIn(
  browser: Browser,
  shop: Shop,
  session: Cookie[],
  path = '/admin/orders',
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const desk = await openDesk(browser, shop, options);
  await desk.context.addCookies(session);
  await desk.page.goto(shop.origin + path);
  await awake(desk, 'logout');
  return desk;
}

/** Waits until a button of the console listens: before that, the framework has only drawn it. */
export async function awake({ page }: Pick<Visit, 'page'>, testid: string): Promise<void> {
  await page.waitForFunction((id) => {
    const button = document.querySelector(`[data-testid="${id}"]`);
    return button !== null && Object.keys(button).some((name) => name.startsWith('__reactProps'));
  }, testid);
}
