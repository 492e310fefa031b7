'use client';
/** The two steps of a refund: what is wished, and the wish repeated with its amount to be typed again. Sends nothing. */
import { Button, Input, type InputRef } from 'antd';
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import { fenToYuan, formatFen, yuanToFen } from '../../../../../lib/money.ts';
import { Field } from '../../field.client.tsx';

export interface RefundableTrade {
  order_no: string;
  out_trade_no: string;
  total_fen: number;
  refunded_fen: number;
  refunding_fen: number;
  left_fen: number;
  refunds: number;
  most_refunds: number;
  /** Beijing time, for reading. */
  until: string;
  blocked: string | null;
}

export interface RefundDraft {
  yuan: string;
  reason: string;
}

export interface RefundWish {
  refund_fen: number;
  reason: string;
}

const longestReason = 26;

/** The amount in fen, or what is wrong with what was typed. */
function readAmount(text: string, left_fen: number): number | string {
  const fen = yuanToFen(text.trim().replace(/^¥/, ''));
  if (fen === undefined) return '请以元填写，至少 0.01，最多两位小数，例如 12.30';
  return fen > left_fen ? `最多还可退 ${formatFen(left_fen)}` : fen;
}

export function AskRefund({
  trade,
  draft,
  onDraft,
  onNext,
  onCancel,
}: {
  trade: RefundableTrade;
  draft: RefundDraft;
  onDraft: (draft: RefundDraft) => void;
  onNext: (wish: RefundWish) => void;
  onCancel: () => void;
}) {
  const amount = useFocus();
  const reason = useRef<InputRef>(null);
  const [wrong, setWrong] = useState<{ yuan?: string; reason?: string }>({});

  function next(event: FormEvent): void {
    event.preventDefault();
    const fen = readAmount(draft.yuan, trade.left_fen);
    const why = draft.reason.trim();
    const found = {
      ...(typeof fen === 'string' ? { yuan: fen } : {}),
      ...(why === '' ? { reason: '请写明原因，顾客会在微信里看到' } : {}),
    };
    setWrong(found);
    if (typeof fen === 'string') amount.current?.focus({ cursor: 'all' });
    else if (why === '') reason.current?.focus();
    else onNext({ refund_fen: fen, reason: why });
  }

  return (
    <form className="dialog-body" onSubmit={next} noValidate data-testid="refund-ask">
      <dl className="sums">
        <Sum name="实付" fen={trade.total_fen} />
        <Sum name="已退" fen={trade.refunded_fen} />
        <Sum name="退款中" fen={trade.refunding_fen} />
        <Sum name="可退" fen={trade.left_fen} strong />
      </dl>
      <Field label="退款金额（元）" wrong={wrong.yuan} testid="refund-amount-wrong">
        {(props) => (
          <span className="field-row">
            <Input
              {...props}
              ref={amount}
              prefix="¥"
              inputMode="decimal"
              autoComplete="off"
              maxLength={12}
              value={draft.yuan}
              onChange={({ target }) => onDraft({ ...draft, yuan: target.value })}
              data-testid="refund-amount"
            />
            <Button
              onClick={() => {
                onDraft({ ...draft, yuan: fenToYuan(trade.left_fen) });
                setWrong({});
              }}
              data-testid="refund-all"
            >
              全部 {formatFen(trade.left_fen)}
            </Button>
          </span>
        )}
      </Field>
      <Field
        label={`退款原因（${draft.reason.length}/${longestReason} 字）`}
        wrong={wrong.reason}
        testid="refund-reason-wrong"
      >
        {(props) => (
          <Input
            {...props}
            ref={reason}
            autoComplete="off"
            maxLength={longestReason}
            placeholder="例如：顾客退货"
            value={draft.reason}
            onChange={({ target }) => onDraft({ ...draft, reason: target.value })}
            data-testid="refund-reason"
          />
        )}
      </Field>
      <ul className="limits" data-testid="refund-limits">
        <li>
          一笔支付最多退 {trade.most_refunds} 次，已用 {trade.refunds} 次；合计不能超过实付金额。
        </li>
        <li>支付后一年内可退，这笔到 {trade.until}（北京时间）为止。</li>
        <li>钱原路退回顾客的零钱或银行卡；银行卡可能要 1–3 个工作日。同一笔支付两次退款请隔一分钟。</li>
      </ul>
      <div className="dialog-foot">
        <Button onClick={onCancel}>取消</Button>
        <Button type="primary" htmlType="submit" data-testid="refund-next">
          下一步
        </Button>
      </div>
    </form>
  );
}

export function ConfirmRefund({
  trade,
  wish,
  busy,
  again,
  onBack,
  onConfirm,
}: {
  trade: RefundableTrade;
  wish: RefundWish;
  busy: boolean;
  /** The first try got no answer. */
  again: boolean;
  onBack: () => void;
  onConfirm: () => void;
}) {
  const typed = useFocus();
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState<string>();

  function confirm(event: FormEvent): void {
    event.preventDefault();
    if (yuanToFen(text.trim().replace(/^¥/, '')) !== wish.refund_fen) {
      setWrong(`与要退的 ${formatFen(wish.refund_fen)} 不一致`);
      typed.current?.focus({ cursor: 'all' });
      return;
    }
    setWrong(undefined);
    onConfirm();
  }

  return (
    <form className="dialog-body" onSubmit={confirm} noValidate data-testid="refund-confirm">
      <p className="repeat">
        将退给顾客 <strong data-testid="refund-repeat">{formatFen(wish.refund_fen)}</strong>
        {wish.refund_fen === trade.left_fen ? '（可退金额的全部）' : ''}
      </p>
      <dl className="facts facts-narrow">
        <Fact name="订单号">
          <span className="code" data-testid="refund-order">
            {trade.order_no}
          </span>
        </Fact>
        <Fact name="商户单号">
          <span className="code">{trade.out_trade_no}</span>
        </Fact>
        <Fact name="原因">{wish.reason}</Fact>
      </dl>
      <Field label="再输入一次金额（元）" wrong={wrong} testid="refund-again-wrong">
        {(props) => (
          <Input
            {...props}
            ref={typed}
            prefix="¥"
            inputMode="decimal"
            autoComplete="off"
            maxLength={12}
            value={text}
            onChange={({ target }) => setText(target.value)}
            data-testid="refund-again"
          />
        )}
      </Field>
      <div className="dialog-foot">
        <Button onClick={onBack} disabled={busy}>
          返回修改
        </Button>
        <Button type="primary" danger htmlType="submit" loading={busy} data-testid="refund-submit">
          {again ? '再试一次（同一笔）' : `退 ${formatFen(wish.refund_fen)}`}
        </Button>
      </div>
    </form>
  );
}

/** An input that has the focus when its step appears. */
function useFocus() {
  const input = useRef<InputRef>(null);
  useEffect(() => input.current?.focus(), []);
  return input;
}

function Sum({ name, fen, strong = false }: { name: string; fen: number; strong?: boolean }) {
  return (
    <div className={strong ? 'sum-strong' : undefined}>
      <dt>{name}</dt>
      <dd data-testid={strong ? 'refund-left' : undefined}>{formatFen(fen)}</dd>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
