/**
 * What the pay page does beside paying: copying its link, saying that the browser is offline, and telling the shop's
 * basket that this order is over.
 */
import type { PageState } from '../../../lib/states.ts';
import type { Moments } from '../../../lib/words.ts';

export function forgetCheckout(order_no: string, state: PageState): void {
  try {
    const kept = JSON.parse(sessionStorage.getItem('guitai_checkout') ?? '{}') as { order_no?: string };
    if (kept.order_no !== order_no) return;
    if (state === 'paid' || state === 'refunded') sessionStorage.removeItem('guitai_checkout');
    else
      sessionStorage.setItem(
        'guitai_checkout',
        JSON.stringify({ ...kept, key: undefined, order_no: undefined }),
      );
  } catch {
    // Without storage there is no checkout to forget.
  }
}

export function copyLink(words: Moments): void {
  const link = document.getElementById('pay-link') as HTMLInputElement | null;
  const button = document.getElementById('pay-copy');
  if (link === null || button === null) return;
  const tell = (copied: boolean): void => {
    button.textContent = copied ? words.copied : words.copy_by_hand;
  };
  const byHand = (): void => {
    link.focus();
    link.select();
    tell(document.execCommand('copy'));
  };
  if (navigator.clipboard) navigator.clipboard.writeText(link.value).then(() => tell(true), byHand);
  else byHand();
}

/** Shows that the browser is offline; `back` is called when it no longer is. */
export function watchConnection(back: () => void): void {
  const look = (): void => {
    const root = document.getElementById('pay');
    if (navigator.onLine === false) root?.setAttribute('data-offline', '');
    else {
      root?.removeAttribute('data-offline');
      back();
    }
  };
  window.addEventListener('online', look);
  window.addEventListener('offline', look);
  if (navigator.onLine === false) look();
}
