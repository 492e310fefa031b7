'use client';
/** Ends the session on the server, then leaves by a whole page load so that nothing of it stays in the browser. */
import { LogoutOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { ask } from '../ask.client.ts';

export function Logout() {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<string>();

  async function leave(): Promise<void> {
    setBusy(true);
    const answer = await ask('/api/admin/logout', {});
    if (answer.ok) window.location.assign('/admin/login');
    else {
      setBusy(false);
      setFailed(answer.message);
    }
  }

  return (
    <>
      <Button
        type="text"
        size="small"
        icon={<LogoutOutlined aria-hidden />}
        loading={busy}
        onClick={() => void leave()}
        data-testid="logout"
      >
        退出
      </Button>
      <span role="status" className="bar-failed">
        {failed}
      </span>
    </>
  );
}
