// What WeChat keeps of each payment and gives back with each refund, at one rate. It touches no balance.

import type { Refund } from './records.ts';

export const RATE = '0.60%';
const PER_TEN_THOUSAND = 60;

/** The fee of a payment in fen, half a fen rounded up. */
export function feeFen(total_fen: number): number {
  return Math.round((total_fen * PER_TEN_THOUSAND) / 10_000);
}

/**
 * The fee that goes back with one refund: its share of the fee, so that all refunds of a wholly refunded order give
 * back exactly the fee. `all` are the refunds of that order, oldest first.
 */
export function feeBackFen(all: Refund[], refund: Refund): number {
  let before_fen = 0;
  for (const one of all) {
    if (one === refund) break;
    if (one.state !== 'CLOSED') before_fen += one.refund_fen;
  }
  const share = (fen: number) => Math.round((feeFen(refund.total_fen) * fen) / refund.total_fen);
  return share(before_fen + refund.refund_fen) - share(before_fen);
}
