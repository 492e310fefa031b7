'use client';
/** A labelled input with what is wrong with it below, tied together for those who listen. */
import { type ReactNode, useId } from 'react';

interface FieldProps {
  id: string;
  status: '' | 'error';
  'aria-invalid': boolean;
  'aria-describedby': string;
}

export function Field({
  label,
  wrong,
  testid,
  children,
}: {
  label: string;
  wrong: string | undefined;
  testid: string;
  children: (props: FieldProps) => ReactNode;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({
        id,
        status: wrong === undefined ? '' : 'error',
        'aria-invalid': wrong !== undefined,
        'aria-describedby': `${id}-wrong`,
      })}
      <p id={`${id}-wrong`} role="alert" className="field-wrong" data-testid={testid}>
        {wrong}
      </p>
    </div>
  );
}
