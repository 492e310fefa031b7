'use client';
/** A note that explains a difference; it closes the difference, removes nothing, and cannot be rewritten. */
import { Alert, Button, Input, type InputRef } from 'antd';
import { useRouter } from 'next/navigation';
import { type FormEvent, useEffect, useId, useRef, useState, useTransition } from 'react';
import { ask, leaveIfSignedOut } from '../../../ask.client.ts';
import { Dialog } from '../../../dialog.client.tsx';

interface Explained {
  made: boolean;
  resolution: string;
  resolved_by: string;
}

const longest = 200;

export function Explain({ id, title, subject }: { id: string; title: string; subject: string }) {
  const router = useRouter();
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const [pending, start] = useTransition();

  async function submit(note: string): Promise<void> {
    setBusy(true);
    setWrong(undefined);
    const answer = await ask<Explained>(`/api/admin/differences/${id}/resolve`, { note });
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    if (!answer.ok) {
      setWrong(answer.message);
      return;
    }
    setOpen(false);
    start(() => router.refresh());
  }

  return (
    <>
      <Button onClick={() => setOpen(true)} loading={pending} data-testid={`explain-${id}`}>
        标记为已说明
      </Button>
      <Dialog title="说明这处差异" open={open} onClose={() => setOpen(false)}>
        <p>
          {title}：<span className="code">{subject}</span>
        </p>
        <Note
          busy={busy}
          wrong={wrong}
          onWrong={setWrong}
          onSubmit={submit}
          onCancel={() => setOpen(false)}
        />
      </Dialog>
    </>
  );
}

function Note({
  busy,
  wrong,
  onWrong,
  onSubmit,
  onCancel,
}: {
  busy: boolean;
  wrong: string | undefined;
  onWrong: (wrong: string) => void;
  onSubmit: (note: string) => Promise<void>;
  onCancel: () => void;
}) {
  const id = useId();
  const box = useRef<InputRef>(null);
  const [note, setNote] = useState('');
  useEffect(() => box.current?.focus(), []);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (note.trim() === '') {
      onWrong('请写明原因，例如：顾客在商户平台退款，已核实');
      box.current?.focus();
      return;
    }
    void onSubmit(note.trim());
  }

  return (
    <form className="dialog-body" onSubmit={submit} noValidate>
      <div className="field">
        <label htmlFor={id}>
          说明（{note.length}/{longest} 字）
        </label>
        <Input
          id={id}
          ref={box}
          maxLength={longest}
          autoComplete="off"
          value={note}
          onChange={({ target }) => setNote(target.value)}
          data-testid="explain-note"
        />
      </div>
      <div role="alert">{wrong === undefined ? null : <Alert type="error" showIcon title={wrong} />}</div>
      <p className="none">差异和证据不会删除；说明会连同您的名字留下，不能改。</p>
      <div className="dialog-foot">
        <Button onClick={onCancel} disabled={busy}>
          取消
        </Button>
        <Button type="primary" htmlType="submit" loading={busy} data-testid="explain-submit">
          标记为已说明
        </Button>
      </div>
    </form>
  );
}
