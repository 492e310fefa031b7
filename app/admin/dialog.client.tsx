'use client';
/**
 * A dialog that needs nothing of ours: the browser's own <dialog>, which keeps the focus inside, closes on Esc and
 * gives the focus back to where it was.
 */
import { CloseOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { type ReactNode, useEffect, useId, useRef } from 'react';

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
    <dialog ref={box} className="dialog" aria-labelledby={heading} onClose={onClose}>
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
