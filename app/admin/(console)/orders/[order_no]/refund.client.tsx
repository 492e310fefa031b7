'use client';
/**
 * Giving back money of one paid trade: amount and reason, then the same amount typed once more, then one request. While
 * the outcome of a request is unknown its key is kept, so that trying again is the same refund.
 */
import { UndoOutlined } from '@ant-design/icons';
import { Alert, Button } from 'antd';
import { useRouter } from 'next/navigation';
import { useRef, useState, useTransition } from 'react';
import { formatFen } from '../../../../../lib/money.ts';
import type { HeldRefundState } from '../../../../../lib/states.ts';
import { ask, leaveIfSignedOut } from '../../../ask.client.ts';
import { Dialog } from '../../../dialog.client.tsx';
import { blockedWords, refundInWords, refusalInWords, type Told } from '../../../refund_words.ts';
import {
  AskRefund,
  ConfirmRefund,
  type RefundableTrade,
  type RefundDraft,
  type RefundWish,
} from './refund_steps.client.tsx';

/** A refund as the page or the doorway last told it. */
interface RefundState {
  out_refund_no: string;
  state: HeldRefundState;
  refused_code: string | null;
}

interface OperatorRefund extends RefundState {
  made: boolean;
}

/** One wish, one key, per trade: kept beyond this dialog until an answer says what became of it. */
const keys = new Map<string, string>();

function keyOf(out_trade_no: string): string {
  const kept = keys.get(out_trade_no);
  if (kept !== undefined) return kept;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  keys.set(out_trade_no, key);
  return key;
}

const blank: RefundDraft = { yuan: '', reason: '' };

export function Refund({ trade, refunds }: { trade: RefundableTrade; refunds: readonly RefundState[] }) {
  const router = useRouter();
  const [open, setOpen] = useState(false);
  const [draft, setDraft] = useState(blank);
  const [wish, setWish] = useState<RefundWish>();
  const [busy, setBusy] = useState(false);
  const [unknown, setUnknown] = useState(false);
  const [told, setTold] = useState<Told>();
  const [asked, setAsked] = useState<{ refund: OperatorRefund; refund_fen: number }>();
  const [pending, start] = useTransition();
  const outcome = useRef<HTMLDivElement>(null);

  function leave(): void {
    setOpen(false);
    // A wish whose outcome nobody knows stays as it is, to be tried again.
    if (!unknown && !busy) begin();
  }

  function begin(): void {
    setWish(undefined);
    setDraft(blank);
    setUnknown(false);
  }

  async function submit(): Promise<void> {
    if (busy || wish === undefined) return;
    setBusy(true);
    setTold(undefined);
    setAsked(undefined);
    const { order_no, out_trade_no } = trade;
    const answer = await ask<OperatorRefund>(`/api/admin/orders/${order_no}/refund`, {
      out_trade_no,
      ...wish,
      command_key: keyOf(out_trade_no),
    });
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    if (!answer.ok && (answer.status === 0 || answer.status >= 500)) {
      setUnknown(true);
      setTold({
        type: 'warning',
        title: '没有收到结果：退款可能已经登记，也可能没有',
        description: `${answer.message}。再试一次用的是同一个请求，不会退两次。`,
      });
      return;
    }
    keys.delete(out_trade_no);
    if (answer.ok) {
      setAsked({ refund: answer.body, refund_fen: wish.refund_fen });
      setOpen(false);
      begin();
    } else {
      setTold({ type: 'error', title: refusalInWords(answer.code, answer.message) });
      setUnknown(false);
      setWish(undefined);
    }
    start(() => router.refresh());
    if (answer.ok) requestAnimationFrame(() => outcome.current?.focus());
  }

  const shown = told ?? (asked === undefined ? undefined : outcomeOf(asked, refunds));
  const notice = shown === undefined ? null : <Alert showIcon {...shown} />;
  return (
    <div className="action">
      <Button
        icon={<UndoOutlined aria-hidden />}
        disabled={trade.blocked !== null}
        loading={pending || (busy && !open)}
        onClick={() => {
          if (!unknown) setTold(undefined);
          setAsked(undefined);
          setOpen(true);
        }}
        data-testid="refund-open"
      >
        退款
      </Button>
      {trade.blocked === null ? null : (
        <small data-testid="refund-blocked">{blockedWords[trade.blocked] ?? trade.blocked}</small>
      )}
      <div
        ref={outcome}
        tabIndex={-1}
        role="status"
        aria-live="polite"
        className="action-told"
        data-testid="refund-result"
      >
        {open ? null : notice}
      </div>
      <Dialog title={wish === undefined ? '退款' : '确认退款'} open={open} onClose={leave}>
        <div role="alert" data-testid="refund-told">
          {notice}
        </div>
        {wish === undefined ? (
          <AskRefund
            trade={trade}
            draft={draft}
            onDraft={setDraft}
            onNext={(next) => {
              setTold(undefined);
              setWish(next);
            }}
            onCancel={leave}
          />
        ) : (
          <ConfirmRefund
            trade={trade}
            wish={wish}
            busy={busy}
            again={unknown}
            onBack={() => setWish(undefined)}
            onConfirm={() => void submit()}
          />
        )}
      </Dialog>
    </div>
  );
}

/** The refund just asked for: as its row has it where the page has been brought up to date since, else as answered. */
function outcomeOf(
  { refund, refund_fen }: { refund: OperatorRefund; refund_fen: number },
  refunds: readonly RefundState[],
): Told {
  const { out_refund_no, made } = refund;
  const { state, refused_code } = refunds.find((row) => row.out_refund_no === out_refund_no) ?? refund;
  const { description = '', ...words } = refundInWords(state, refused_code);
  const again = made ? '' : '（此前已登记，是同一笔）';
  return {
    ...words,
    description: `${formatFen(refund_fen)}，退款单号 ${out_refund_no}${again}。${description}`,
  };
}
