/** Orders brought into the states a shopper may meet, through the worker and WeChat where that is how they come. */
import type { Shop } from '../setup/shop.ts';
import { books, until } from './phones.ts';

/** Its time is over, and nobody has looked at it since. */
export async function expire({ rows }: Shop, order_no: string): Promise<void> {
  await rows(`update "order" set expires_at = now() - interval '1 minute' where order_no = $1`, [order_no]);
}

/** Its time is long over and the worker has closed it, at WeChat too. */
export async function close(shop: Shop, order_no: string): Promise<void> {
  const { rows } = shop;
  await rows(`update "order" set expires_at = now() - interval '10 minutes' where order_no = $1`, [order_no]);
  await rows(`update trade set expires_at = now() - interval '10 minutes' where order_no = $1`, [order_no]);
  await rows(`update pgboss.job set start_after = now() where name = 'order_expire' and singleton_key = $1`, [
    order_no,
  ]);
  await until(
    () => books(shop, order_no),
    ({ state }) => state === 'CLOSED',
  );
}

/** WeChat has given back some of it; the row is written as a finished refund leaves it. */
export async function refund({ rows }: Shop, order_no: string, refund_fen: number): Promise<void> {
  await rows(
    `insert into refund (out_refund_no, out_trade_no, order_no, command_key, origin, state, refund_fen, total_fen,
       reason, created_at, success_at)
     select 'R' || t.out_trade_no || $2, t.out_trade_no, o.order_no, 'test-' || o.order_no || $2, 'operator',
       'SUCCESS', $2::int, t.total_fen, '', now(), now()
     from "order" o join trade t on t.out_trade_no = o.paid_trade_no where o.order_no = $1`,
    [order_no, refund_fen],
  );
}
