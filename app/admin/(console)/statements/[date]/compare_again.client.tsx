'use client';
/** Has the day's bill fetched and compared; that may take minutes, so it counts the seconds while it waits. */
import { SyncOutlined } from '@ant-design/icons';
import { Alert, Button } from 'antd';
import { useRouter } from 'next/navigation';
import { useEffect, useState, useTransition } from 'react';
import { type Answer, ask, leaveIfSignedOut } from '../../../ask.client.ts';
import type { Told } from '../../../refund_words.ts';

interface Compared {
  state: 'WAITING' | 'COMPARED' | 'EMPTY' | 'REFUSED';
  rows: number;
  settled: number;
  differences: number;
  problem: string;
}

export function CompareAgain({
  date,
  again,
  ready,
}: {
  date: string;
  again: boolean;
  /** When the bill exists, while it does not. */
  ready: string | null;
}) {
  const router = useRouter();
  const [since, setSince] = useState<number>();
  const [seconds, setSeconds] = useState(0);
  const [told, setTold] = useState<Told>();
  const [pending, start] = useTransition();
  const busy = since !== undefined;

  useEffect(() => {
    if (since === undefined) return;
    const timer = setInterval(() => setSeconds(Math.floor((Date.now() - since) / 1_000)), 1_000);
    return () => clearInterval(timer);
  }, [since]);

  async function compare(): Promise<void> {
    setSeconds(0);
    setSince(Date.now());
    setTold(undefined);
    const answer = await ask<Compared>(`/api/admin/statements/${date}`, {});
    setSince(undefined);
    if (leaveIfSignedOut(answer)) return;
    setTold(inWords(answer));
    start(() => router.refresh());
  }

  return (
    <div className="action">
      <Button
        icon={<SyncOutlined aria-hidden />}
        loading={busy || pending}
        disabled={ready !== null}
        onClick={() => void compare()}
        data-testid="compare-again"
      >
        {again ? '重新取账单并核对' : '取账单并核对'}
      </Button>
      {busy ? <small>{`正在取账单并核对，账单大时要几分钟… ${seconds} 秒`}</small> : null}
      {ready === null ? null : <small>{ready} 以后可以核对</small>}
      <div role="status" aria-live="polite" className="action-told" data-testid="compare-result">
        {told === undefined ? null : <Alert showIcon {...told} />}
      </div>
    </div>
  );
}

const refusals: Record<string, string> = {
  bill_too_early: '账单还没有出：微信在次日北京时间 10 点以后才有',
  busy: '这一天正在被另一次任务核对，请过一会儿刷新',
};

function inWords(answer: Answer<Compared>): Told {
  if (!answer.ok) {
    const known = refusals[answer.code ?? ''];
    if (known !== undefined) return { type: 'warning', title: known };
    if (answer.status === 0) {
      return {
        type: 'warning',
        title: '没有等到结果',
        description: '核对可能仍在进行，请过一会儿刷新这一页；重复核对不会出错。',
      };
    }
    return { type: 'error', title: answer.message };
  }
  const { state, rows, settled, differences, problem } = answer.body;
  const mended = settled === 0 ? '' : `；账单补记入账 ${settled} 笔`;
  if (state === 'REFUSED') return { type: 'error', title: '账单没有采信', description: '原因见下方说明。' };
  if (state === 'WAITING') {
    return {
      type: 'warning',
      title: '这次没有取到账单',
      description: '稍后系统会自动再取；原因见下方说明。',
    };
  }
  if (rows === 0 && problem !== '') {
    return {
      type: 'warning',
      title: '这次没有取到账单，保留上一次的结果',
      description: '原因见下方说明。',
    };
  }
  if (differences > 0) {
    return { type: 'warning', title: `核对完成：待处理的差异 ${differences} 处${mended}` };
  }
  if (state === 'EMPTY') return { type: 'info', title: '微信说当天没有账单，我方也没有收款' };
  return { type: 'success', title: `核对完成：${rows} 行，与我方相符${mended}` };
}
