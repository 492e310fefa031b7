/** Head of every page of the console: shop, sections, who is signed in. Without a session it shows nothing of that. */
import type { ReactNode } from 'react';
import { countAttention } from '../../../lib/admin_attention.ts';
import { context } from '../../../lib/context.ts';
import { isOpened } from '../../../lib/ways.ts';
import { currentOperator } from '../operator.ts';
import { Logout } from './logout.client.tsx';
import { type OpenedSections, Sections } from './sections.client.tsx';

export default async function ConsoleLayout({ children }: { children: ReactNode }) {
  const operator = await currentOperator();
  if (operator === undefined) return children;
  return (
    <>
      <header className="bar">
        <span className="bar-shop">{context().config.SHOP_NAME}</span>
        <Sections waiting={waitingForAPerson()} opened={openedSections()} />
        <span className="bar-user" title={`已登录：${operator.username}`}>
          {operator.username}
        </span>
        <Logout />
      </header>
      {children}
    </>
  );
}

/** What this shop has beyond orders and refunds. */
function openedSections(): OpenedSections {
  const { config } = context();
  return {
    counter: isOpened(config, 'MICROPAY') || isOpened(config, 'FACEPAY'),
    red_packets: config.RED_PACKET_DAILY_LIMIT_FEN > 0,
  };
}

/** The pages below do not wait for this, and a count that cannot be had is no reason to show none of them. */
async function waitingForAPerson(): Promise<number | undefined> {
  const ctx = context();
  try {
    return await countAttention(ctx);
  } catch (err) {
    ctx.log.error({ err }, 'nothing could be counted for the header');
    return undefined;
  }
}
