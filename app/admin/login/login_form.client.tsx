'use client';
/** User name and password, by keyboard alone if wanted; wrong ones are told in words and the password is asked anew. */
import { LockOutlined, UserOutlined } from '@ant-design/icons';
import { Alert, Button, Input, type InputRef } from 'antd';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { ask } from '../ask.client.ts';

export function LoginForm({ next }: { next: string }) {
  const [busy, setBusy] = useState(false);
  const [message, setMessage] = useState<string>();
  const password = useRef<InputRef>(null);

  // A strict cookie stays behind when a link on another site leads here; asking from our own page brings it along.
  useEffect(() => {
    let left = false;
    void ask<{ username: string | null }>('/api/admin/session').then((answer) => {
      if (!left && answer.ok && answer.body.username !== null) window.location.replace(next);
    });
    return () => {
      left = true;
    };
  }, [next]);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    if (busy) return;
    const fields = new FormData(event.currentTarget);
    setBusy(true);
    setMessage(undefined);
    const answer = await ask('/api/admin/login', {
      username: fields.get('username'),
      password: fields.get('password'),
    });
    if (answer.ok) {
      window.location.replace(next);
      return;
    }
    setBusy(false);
    setMessage(answer.status === 429 ? '尝试次数过多，请 15 分钟后再试' : answer.message);
    password.current?.focus({ cursor: 'all' });
  }

  return (
    <form method="post" onSubmit={(event) => void submit(event)} className="login-form">
      <div role="alert" aria-live="assertive" className="login-message" data-testid="login-message">
        {message === undefined ? null : <Alert type="error" showIcon title={message} />}
      </div>
      <label htmlFor="username">用户名</label>
      <Input
        id="username"
        name="username"
        size="large"
        prefix={<UserOutlined aria-hidden />}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={64}
        required
        autoFocus
        data-testid="login-username"
      />
      <label htmlFor="password">密码</label>
      <Input.Password
        ref={password}
        id="password"
        name="password"
        size="large"
        prefix={<LockOutlined aria-hidden />}
        autoComplete="current-password"
        maxLength={256}
        required
        data-testid="login-password"
      />
      <Button type="primary" size="large" htmlType="submit" block loading={busy} data-testid="login-submit">
        登录
      </Button>
    </form>
  );
}
