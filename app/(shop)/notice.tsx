/** A page that has one thing to say: icon, title, sentence, and what can be done next. */
import type { ReactNode } from 'react';

export type NoticeIcon = 'success' | 'info' | 'warn' | 'wait' | 'empty';

export function Notice({
  icon,
  title,
  text,
  children,
  testid,
}: {
  icon: NoticeIcon;
  title: string;
  text: string;
  children?: ReactNode;
  testid?: string;
}) {
  return (
    <main className="notice" id="content" data-testid={testid}>
      <div className="say">
        <span className={`icon icon-${icon}`} aria-hidden="true" />
        <h1>{title}</h1>
        <p>{text}</p>
      </div>
      {children === undefined ? null : <div className="actions">{children}</div>}
    </main>
  );
}
