/**
 * What an APP's own server may do: order, start the payment, ask how it stands. It sees its own orders and no others;
 * prices are ours, as everywhere.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { Context } from './context.ts';
import { AppError } from './errors.ts';
import { parseInput } from './http.ts';
import { orderInput, showOrder } from './orders.ts';
import type { Session } from './sessions.ts';
import { type OrderStatus, pollOrder } from './status.ts';
import { startTrade } from './trades.ts';
import type { Started } from './ways.ts';

export const appOrderInput = orderInput.omit({ checkout_key: true });

export const appPayInput = z.strictObject({
  payer_client_ip: z
    .string()
    .refine(
      (text) => isIP(text) !== 0 && !text.includes('%'),
      'must be the IPv4 or IPv6 address of the phone',
    ),
});

/** The header `Idempotency-Key`, which is this API's `checkout_key`: the same key and goods are one order. */
export function idempotencyKey(request: Request): string {
  const key = request.headers.get('idempotency-key') ?? '';
  const wanted = z.object({ 'Idempotency-Key': orderInput.shape.checkout_key });
  return parseInput(wanted, { 'Idempotency-Key': key })['Idempotency-Key'];
}

async function requireOwn(ctx: Context, session: Session, order_no: string): Promise<void> {
  const order = await showOrder(ctx, session, order_no);
  if (order?.standing !== 'buyer') throw new AppError('not_found');
}

export async function startAppTrade(
  ctx: Context,
  session: Session,
  order_no: string,
  payer_client_ip: string,
): Promise<Started['APP']> {
  await requireOwn(ctx, session, order_no);
  return startTrade(ctx, { session, payer_client_ip }, order_no, 'APP');
}

/** Asks WeChat too, at most every two seconds; a server that waits asks again after `next_poll_ms`. */
export async function pollAppOrder(ctx: Context, session: Session, order_no: string): Promise<OrderStatus> {
  await requireOwn(ctx, session, order_no);
  return pollOrder(ctx, session, order_no, { mode: 'confirm', poll: 1 });
}
