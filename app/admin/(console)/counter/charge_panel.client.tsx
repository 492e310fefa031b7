'use client';
/**
 * One charge until its end: what to tell the payer, how long it is waited for, and the way to give up. It only asks how
 * the charge stands; asking WeChat, and reversing after the wait, happen without this page.
 */
import {
  CheckCircleFilled,
  ClockCircleFilled,
  CloseCircleFilled,
  MinusCircleFilled,
} from '@ant-design/icons';
import { Alert, Button } from 'antd';
import Link from 'next/link';
import { type ComponentType, useEffect, useRef, useState } from 'react';
import { formatFen, speakFen } from '../../../../lib/money.ts';
import { ask, leaveIfSignedOut } from '../../ask.client.ts';
import { wayInWords } from '../../way_words.ts';
import { type ChargeView, standingWords, type Tone } from './charge_view.ts';

const icons: Record<Tone, ComponentType> = {
  good: CheckCircleFilled,
  bad: CloseCircleFilled,
  waiting: ClockCircleFilled,
  plain: MinusCircleFilled,
};

/** After a question that got no answer. */
const askAgain_ms = 3_000;

export function ChargePanel({
  charge,
  onCharge,
  onNext,
}: {
  charge: ChargeView;
  onCharge: (charge: ChargeView) => void;
  onNext: () => void;
}) {
  const { out_trade_no, standing, next_poll_ms } = charge;
  const words = standingWords[standing];
  const Icon = icons[words.tone];
  const address = `/api/admin/counter/${out_trade_no}`;
  const [lost, setLost] = useState(0);
  const [reversing, setReversing] = useState(false);
  const [refused, setRefused] = useState<string>();
  const next = useRef<HTMLButtonElement>(null);
  const passed_ms = usePassed(charge);
  const wait_left_ms = Math.max(0, charge.wait_left_ms - passed_ms);
  const reversible_in_ms = Math.max(0, charge.reversible_in_ms - passed_ms);

  useEffect(() => {
    if (next_poll_ms === null) {
      next.current?.focus();
      return;
    }
    let left = false;
    const timer = setTimeout(
      () => {
        void ask<ChargeView>(`/api/admin/counter/${charge.out_trade_no}`).then((answer) => {
          if (left || leaveIfSignedOut(answer)) return;
          if (answer.ok) {
            setLost(0);
            onCharge(answer.body);
          } else setLost((times) => times + 1);
        });
      },
      lost > 0 ? askAgain_ms : next_poll_ms,
    );
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [charge, next_poll_ms, lost, onCharge]);

  async function reverse(): Promise<void> {
    if (reversing) return;
    setReversing(true);
    setRefused(undefined);
    const answer = await ask<ChargeView>(`${address}/reverse`, {});
    setReversing(false);
    if (leaveIfSignedOut(answer)) return;
    if (answer.ok) onCharge(answer.body);
    else setRefused(answer.message);
  }

  return (
    <section className={`card charge charge-${words.tone}`} aria-label="这一笔" data-testid="charge">
      <div role="status" aria-live="polite" className="charge-told">
        <span className="charge-icon" aria-hidden>
          <Icon />
        </span>
        <h2 data-testid="charge-standing" data-standing={standing}>
          {words.title}
        </h2>
        <p className="charge-sum">
          <span aria-hidden>{formatFen(charge.total_fen)}</span>
          <span className="unseen">{speakFen(charge.total_fen)}</span>
        </p>
        {charge.refused === null ? null : (
          <p className="charge-why" data-testid="charge-refused">
            {charge.refused.zh}
            <small className="code"> {charge.refused.code}</small>
            <small className="below" lang="en">
              {charge.refused.en}
            </small>
          </p>
        )}
        {words.text === '' ? null : <p>{words.text}</p>}
      </div>
      {standing === 'waiting' || standing === 'confirming' ? (
        <div className="charge-wait">
          <progress max={charge.wait_ms} value={charge.wait_ms - wait_left_ms} aria-label="已等待的时间" />
          <span data-testid="charge-left">还等 {Math.ceil(wait_left_ms / 1_000)} 秒，之后自动撤销</span>
        </div>
      ) : null}
      {lost === 0 ? null : (
        <Alert
          type="warning"
          showIcon
          title="暂时连不上服务器，正在重试；收款和撤销都由服务器继续，不受影响"
        />
      )}
      {refused === undefined ? null : <Alert type="error" showIcon title={refused} />}
      <div className="charge-actions">
        <Button
          ref={next}
          type={next_poll_ms === null ? 'primary' : 'default'}
          size="large"
          onClick={onNext}
          data-testid="charge-next"
        >
          {next_poll_ms === null ? (standing === 'paid' ? '下一笔' : '重新收款') : '先收下一笔'}
        </Button>
        {standing === 'waiting' || standing === 'confirming' ? (
          <Button
            size="large"
            danger
            loading={reversing}
            disabled={reversible_in_ms > 0}
            onClick={() => void reverse()}
            data-testid="charge-reverse"
          >
            {reversible_in_ms > 0 ? `${Math.ceil(reversible_in_ms / 1_000)} 秒后可撤销` : '不等了，撤销'}
          </Button>
        ) : null}
      </div>
      <p className="charge-numbers">
        <small>
          {wayInWords(charge.trade_type).word}
          {charge.seller === null ? '' : ` · ${charge.seller}`} · 订单{' '}
          <Link href={`/admin/orders/${charge.order_no}`} prefetch={false} className="code">
            {charge.order_no}
          </Link>
        </small>
      </p>
    </section>
  );
}

/** Milliseconds since this answer came; it ticks while there is something to wait for. */
function usePassed(charge: ChargeView): number {
  const [seen, setSeen] = useState({ charge, at: 0, now: 0 });
  useEffect(() => {
    const at = performance.now();
    setSeen({ charge, at, now: at });
    if (charge.next_poll_ms === null) return;
    const timer = setInterval(() => setSeen({ charge, at, now: performance.now() }), 500);
    return () => clearInterval(timer);
  }, [charge]);
  return seen.charge === charge ? seen.now - seen.at : 0;
}
