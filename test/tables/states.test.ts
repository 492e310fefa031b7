/** The state tables themselves: complete, reachable, and money never leaves a state that took it. */
import { describe, expect, test } from 'vitest';
import {
  openTradeStates,
  paidTradeStates,
  tradeEvidence,
  tradeMoves,
  tradeStates,
} from '../../lib/states.ts';

describe('trade states', () => {
  test('every held state can be reached from NOTPAY, REFUND by a refund of our own', () => {
    const reached = new Set<string>(['NOTPAY', 'REFUND']);
    for (let before = -1; before !== reached.size; ) {
      before = reached.size;
      for (const held of tradeStates.filter((state) => reached.has(state))) {
        for (const said of tradeEvidence) {
          const move = tradeMoves[held][said];
          if (move !== 'stay' && move !== 'hold') reached.add(move);
        }
      }
    }
    expect([...reached].sort()).toEqual([...tradeStates].sort());
  });

  test('a paid trade stays paid whatever is said of it', () => {
    for (const held of paidTradeStates) {
      for (const said of tradeEvidence) expect(['stay', 'hold']).toContain(tradeMoves[held][said]);
    }
  });

  test('a verified payment wins in every state that has not taken money', () => {
    for (const held of tradeStates.filter((state) => state !== 'SUCCESS' && state !== 'REFUND')) {
      expect(tradeMoves[held].SUCCESS).toBe('SUCCESS');
      expect(tradeMoves[held].REFUND).toBe('SUCCESS');
    }
  });

  test('a closed trade never opens again', () => {
    for (const held of ['CLOSED', 'REVOKED'] as const) {
      for (const said of tradeEvidence) {
        expect(openTradeStates as readonly string[]).not.toContain(tradeMoves[held][said]);
      }
    }
  });
});
