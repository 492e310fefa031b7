'use client';
/** A page of the console that could not be made: says so, and tries again on demand. Nothing of the cause is shown. */
import { Button, Result } from 'antd';

export default function ConsoleError({
  error,
  retry,
}: {
  error: Error & { digest?: string };
  retry: () => void;
}) {
  return (
    <main className="page">
      <Result
        status="error"
        title={<h1>这一页没有读出来</h1>}
        subTitle={`可能是数据库暂时没有应答，数据没有改变。${error.digest === undefined ? '' : `编号 ${error.digest}`}`}
        extra={
          <Button type="primary" onClick={() => retry()} data-testid="retry">
            重试
          </Button>
        }
      />
    </main>
  );
}
