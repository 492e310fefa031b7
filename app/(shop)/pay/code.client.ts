/**
 * The code on a desktop: asked for when the page opens, drawn by the server, renewed before it goes stale, and taken
 * away when the order is being paid another way. It never takes the order back by itself: that is the button's.
 */
import type { Asked } from './ask.client.ts';

export interface Code {
  /** Asks for a code and shows it. */
  begin: () => void;
  /** Hears with each status whose turn it is. */
  told: (open_way: string | null) => void;
}

/** `shown` is called when there is something new to watch for. */
export function createCode(
  ask: (then: (asked: Asked) => void) => void,
  network: string,
  shown: () => void,
): Code {
  let timer: ReturnType<typeof setTimeout> | undefined;

  function set(state: 'making' | 'shown' | 'failed' | 'replaced'): void {
    document.getElementById('pay')?.setAttribute('data-code', state);
  }

  function begin(): void {
    clearTimeout(timer);
    set('making');
    ask(({ ok, body }) => {
      const picture = document.getElementById('pay-code');
      if (ok && body.code_svg && picture) {
        picture.innerHTML = body.code_svg;
        picture.setAttribute('data-url', body.code_url ?? '');
        timer = setTimeout(begin, Math.min(body.renew_in_ms ?? 0, 2_147_483_647));
        set('shown');
      } else {
        const problem = document.getElementById('pay-code-problem');
        if (problem) problem.textContent = body.error?.message ?? network;
        set('failed');
      }
      shown();
    });
  }

  return {
    begin,
    told(open_way) {
      const state = document.getElementById('pay')?.getAttribute('data-code');
      if (state !== 'shown' || open_way === 'NATIVE') return;
      clearTimeout(timer);
      set('replaced');
    },
  };
}
