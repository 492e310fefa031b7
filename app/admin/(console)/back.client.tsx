'use client';
/** The page before, as the browser remembers it: a keyset list knows only the way on. */
import { Button } from 'antd';

export function Back() {
  return (
    <Button type="text" size="small" onClick={() => window.history.back()} data-testid="page-back">
      上一页
    </Button>
  );
}
