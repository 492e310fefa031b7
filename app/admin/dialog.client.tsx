'use client';
/**
 * The browser's own <dialog>: what lies behind cannot be reached, Esc closes it, and the focus goes back to where it
 * was. Ours is only that Tab goes round inside instead of leaving for the browser's own bars.
 */
import { CloseOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from 'react';

export function Dialog({
  title,
  open,
  onClose,
  children,
}: {
  title: string;
  open: boolean;
  /** Called however it was closed; what it held is gone from the page afterwards. */
  onClose: () => void;
  children: ReactNode;
}) {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();

  useEffect(() => {
    const dialog = box.current;
    if (dialog === null) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);

  return (
    <dialog ref={box} className="dialog" aria-labelledby={heading} onClose={onClose} onKeyDown={keepInside}>
      {open ? (
        <>
          <div className="dialog-head">
            <h2 id={heading}>{title}</h2>
            <Button
              type="text"
              size="small"
              icon={<CloseOutlined aria-hidden />}
              aria-label="关闭对话框"
              title="关闭（Esc）"
              onClick={onClose}
            />
          </div>
          {children}
        </>
      ) : null}
    </dialog>
  );
}

function keepInside(event: KeyboardEvent<HTMLDialogElement>): void {
  if (event.key !== 'Tab') return;
  const stops = [...event.currentTarget.querySelectorAll<HTMLElement>('a[href], button, input')].filter(
    (stop) => !stop.matches(':disabled'),
  );
  const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
  if (document.activeElement !== from) return;
  event.preventDefault();
  to?.focus();
}
