'use client';
/** Copies a number to the clipboard and says so in place. */
import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useEffect, useState } from 'react';

type Outcome = 'idle' | 'copied' | 'failed';

export function Copy({ text, what }: { text: string; what: string }) {
  const [outcome, setOutcome] = useState<Outcome>('idle');

  useEffect(() => {
    if (outcome === 'idle') return;
    const later = setTimeout(() => setOutcome('idle'), 2_000);
    return () => clearTimeout(later);
  }, [outcome]);

  const label = { idle: `复制${what}`, copied: '已复制', failed: '浏览器不允许复制，请手动选择' }[outcome];
  return (
    <>
      <Button
        type="text"
        size="small"
        className="copy"
        icon={outcome === 'copied' ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
        aria-label={`复制${what}`}
        title={label}
        onClick={() => {
          copyText(text).then(
            () => setOutcome('copied'),
            () => setOutcome('failed'),
          );
        }}
      />
      <span role="status" className="unseen">
        {outcome === 'idle' ? '' : label}
      </span>
    </>
  );
}

/** The clipboard exists on https and localhost only; a console on a plain http address gets the rejection. */
async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}
