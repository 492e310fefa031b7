'use client';
/** Asks WeChat about the order once more, tells what stood before and after, and brings the page up to date. */
import { SyncOutlined } from '@ant-design/icons';
import { Alert, Button } from 'antd';
import { useRouter } from 'next/navigation';
import { useState, useTransition } from 'react';
import { type HeldTradeState, tradeStateLabels } from '../../../../../lib/states.ts';
import { type Answer, ask, leaveIfSignedOut } from '../../../ask.client.ts';

interface Requeried {
  out_trade_no: string;
  outcome: 'recently' | 'not_found' | 'unknown' | 'told';
  said?: string;
  before: { trade_state: string };
  after: { trade_state: string };
}

interface Told {
  type: 'success' | 'info' | 'warning' | 'error';
  title: string;
  description?: string;
}

export function Requery({ order_no }: { order_no: string }) {
  const router = useRouter();
  const [busy, setBusy] = useState(false);
  const [pending, start] = useTransition();
  const [told, setTold] = useState<Told>();

  async function query(): Promise<void> {
    setBusy(true);
    setTold(undefined);
    const answer = await ask<Requeried>(`/api/admin/orders/${order_no}/query`, {});
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    setTold(inWords(answer));
    start(() => router.refresh());
  }

  return (
    <div className="action">
      <Button
        icon={<SyncOutlined aria-hidden />}
        loading={busy || pending}
        onClick={() => void query()}
        data-testid="requery"
      >
        再查询
      </Button>
      <div role="status" aria-live="polite" data-testid="requery-result">
        {told === undefined ? null : <Alert showIcon {...told} />}
      </div>
    </div>
  );
}

function inWords(answer: Answer<Requeried>): Told {
  if (!answer.ok) return { type: 'error', title: answer.message };
  const { outcome, said = '', before, after, out_trade_no } = answer.body;
  const now = state(after.trade_state);
  if (outcome === 'recently')
    return { type: 'info', title: '刚刚查询过，请隔两秒再查', description: `我方状态：${now}` };
  const move =
    before.trade_state === after.trade_state
      ? `我方状态：${now}（没有变化）`
      : `我方状态：${state(before.trade_state)} → ${now}`;
  const description = `${move}，商户单号 ${out_trade_no}`;
  if (outcome === 'unknown')
    return { type: 'warning', title: '没有问到：微信没有给出可信的应答', description };
  if (outcome === 'not_found') return { type: 'warning', title: '微信没有这个单号', description };
  const agrees = said === after.trade_state;
  return { type: agrees ? 'success' : 'warning', title: `微信说：${state(said)}`, description };
}

function state(word: string): string {
  return Object.hasOwn(tradeStateLabels, word) ? tradeStateLabels[word as HeldTradeState].zh : word;
}
