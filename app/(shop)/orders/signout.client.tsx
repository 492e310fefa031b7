'use client';
/** The sign-out button: ends the session on the server, then leaves by a full page load. */
import { useState } from 'react';

interface SignOutWords {
  sign_out: string;
  signing_out: string;
  sign_out_failed: string;
}

export function SignOut({ words }: { words: SignOutWords }) {
  const [state, setState] = useState<'idle' | 'busy' | 'failed'>('idle');
  const leave = async (): Promise<void> => {
    setState('busy');
    const answer = await fetch('/api/signout', { method: 'POST' }).catch(() => undefined);
    if (answer?.ok) location.assign('/');
    else setState('failed');
  };
  return (
    <>
      <button
        className="button plain"
        type="button"
        data-testid="signout"
        disabled={state === 'busy'}
        onClick={() => void leave()}
      >
        {state === 'busy' ? words.signing_out : words.sign_out}
      </button>
      <p className="problem" role="alert">
        {state === 'failed' ? words.sign_out_failed : ''}
      </p>
    </>
  );
}
