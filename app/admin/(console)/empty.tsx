/** A list with nothing in it, saying so. */
import type { ReactNode } from 'react';
import { InboxOutlined } from '../antd.client.ts';

export function Empty({ children, testid }: { children: ReactNode; testid: string }) {
  return (
    <div className="sheet sheet-empty" data-testid={testid}>
      <InboxOutlined aria-hidden />
      {children}
    </div>
  );
}
