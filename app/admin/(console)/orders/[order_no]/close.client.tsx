'use client';
/** Closing an unpaid order, after one question; tells what stood before and after, or why an order cannot be closed. */
import { StopOutlined } from '@ant-design/icons';
import { Alert, Button } from 'antd';
import { useRouter } from 'next/navigation';
import { useState, useTransition } from 'react';
import { formatFen } from '../../../../../lib/money.ts';
import { type OrderState, orderStateLabels } from '../../../../../lib/states.ts';
import { type Answer, ask, leaveIfSignedOut } from '../../../ask.client.ts';
import { Dialog } from '../../../dialog.client.tsx';
import type { Told } from '../../../refund_words.ts';

interface Closed {
  before: OrderState;
  after: OrderState;
  outcome: 'closed' | 'paid' | 'unknown';
}

const notAllowed: Record<Exclude<OrderState, 'NOTPAY'>, string> = {
  SUCCESS: '已支付的订单不能关闭；要还钱请退款',
  REFUND: '已支付的订单不能关闭；要还钱请退款',
  CLOSED: '已经关闭',
};

export function Close({
  order_no,
  state,
  total_fen,
}: {
  order_no: string;
  state: OrderState;
  total_fen: number;
}) {
  const router = useRouter();
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [pending, start] = useTransition();
  const [told, setTold] = useState<Told>();

  async function close(): Promise<void> {
    setBusy(true);
    setTold(undefined);
    const answer = await ask<Closed>(`/api/admin/orders/${order_no}/close`, {});
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    setOpen(false);
    setTold(inWords(answer));
    start(() => router.refresh());
  }

  return (
    <div className="action">
      <Button
        icon={<StopOutlined aria-hidden />}
        disabled={state !== 'NOTPAY'}
        loading={pending}
        onClick={() => setOpen(true)}
        data-testid="close-open"
      >
        关闭订单
      </Button>
      {state === 'NOTPAY' ? null : <small data-testid="close-blocked">{notAllowed[state]}</small>}
      <div role="status" aria-live="polite" className="action-told" data-testid="close-result">
        {told === undefined ? null : <Alert showIcon {...told} />}
      </div>
      <Dialog title="关闭订单" open={open} onClose={() => setOpen(false)}>
        <div className="dialog-body">
          <p>
            关闭 <strong>{formatFen(total_fen)}</strong> 的订单 <span className="code">{order_no}</span>
            ？关闭后顾客不能再付这一笔。
          </p>
          <p className="none">
            会先问微信是否已支付，再请微信关单，再问一次。顾客若已付款，以付款为准，订单不会关闭。
          </p>
          <div className="dialog-foot">
            <Button onClick={() => setOpen(false)} disabled={busy}>
              不关闭
            </Button>
            <Button
              type="primary"
              danger
              loading={busy}
              onClick={() => void close()}
              data-testid="close-submit"
            >
              关闭订单
            </Button>
          </div>
        </div>
      </Dialog>
    </div>
  );
}

function inWords(answer: Answer<Closed>): Told {
  if (!answer.ok) {
    const known = { order_paid: notAllowed.SUCCESS, order_closed: notAllowed.CLOSED }[answer.code ?? ''];
    if (known !== undefined) return { type: 'warning', title: `没有关闭：${known}` };
    return { type: 'error', title: answer.message };
  }
  const { before, after, outcome } = answer.body;
  const description = `订单：${orderStateLabels[before].zh} → ${orderStateLabels[after].zh}`;
  if (outcome === 'closed') return { type: 'success', title: '已关闭', description };
  if (outcome === 'paid')
    return { type: 'warning', title: '没有关闭：顾客已经付款，以付款为准', description };
  return {
    type: 'warning',
    title: '还没有关成：微信没有给出确定的应答',
    description: `${description}。没有改变什么，可以再试；到期后系统也会自动关闭。`,
  };
}
