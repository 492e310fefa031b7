/**
 * The parts of the pay page that its script writes into, as HTML text: React sends them once and never looks
 * inside again, so nothing the script has done is undone when the framework arrives.
 */
import { renderSVG } from 'uqr';
import type { PageState } from '../../../lib/states.ts';
import type { Words } from '../../../lib/words.ts';
import { describe, type PayData } from './view.client.ts';

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** JSON that may stand inside a script element. */
export function embedJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<\u2028\u2029]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Hands a region to React as it stands. Whatever it is given has been escaped in this file. */
export function asSent(html: string) {
  return { dangerouslySetInnerHTML: { __html: html }, suppressHydrationWarning: true };
}

/** Icon, heading, sentence and note of the present state. */
export function statusRegion(state: PageState, { facts, words }: PayData): string {
  const { title, text, note } = describe(state, facts, words);
  return (
    '<span class="icon" aria-hidden="true"></span>' +
    `<h2 id="pay-title" tabindex="-1" data-testid="result-title">${escapeHtml(title)}</h2>` +
    `<p id="pay-text" data-testid="result-text">${escapeHtml(text)}</p>` +
    `<p id="pay-note" class="surplus" data-testid="result-note">${escapeHtml(note)}</p>`
  );
}

/** The buttons; which of them show is a matter of the page's state and CSS. */
export function actionRegion(
  state: PageState,
  { facts, words, place, way }: PayData,
  labels: Words['pay'],
): string {
  const pays = place === 'wechat' || place === 'wechat_desktop' || way === 'MWEB';
  const { button } = describe(state, facts, words);
  return (
    (way === 'MWEB'
      ? `<button type="button" id="pay-done" class="button primary" data-testid="pay-done">${escapeHtml(labels.done)}</button>`
      : '') +
    (pays
      ? `<button type="button" id="pay-button" class="button primary" data-testid="pay-button">${escapeHtml(button)}</button>` +
        `<noscript><p class="problem">${escapeHtml(labels.noscript)}</p></noscript>`
      : '') +
    `<button type="button" id="pay-refresh" class="button secondary" data-testid="refresh"><span class="when-unknown">${escapeHtml(labels.refresh)}</span><span class="when-slow">${escapeHtml(labels.look_up)}</span></button>`
  );
}

/** The link to open in WeChat, and a button that copies it. */
export function linkRegion(url: string, words: Words['pay']): string {
  return (
    `<input id="pay-link" class="link" readonly aria-label="${escapeHtml(words.link)}" value="${escapeHtml(url)}" data-testid="pay-link">` +
    `<button type="button" id="pay-copy" class="button primary" data-testid="copy-link" aria-live="polite">${escapeHtml(words.copy)}</button>`
  );
}

/**
 * The payment code of a desktop in each of its states; CSS shows one of them. Without the script, and when no code can
 * be had, the link of this page is the code, where the shop takes payments inside WeChat.
 */
export function codeRegion(link: string | undefined, labels: Words['pay']): string {
  const p = (name: string, text: string): string => `<p class="${name}">${escapeHtml(text)}</p>`;
  return (
    `<div id="pay-code" class="qr code-shown" role="img" aria-label="${escapeHtml(labels.code_label)}" data-testid="code"></div>` +
    p('code-shown', labels.code_text) +
    `<p class="code-making" role="status">${escapeHtml(labels.code_making)}</p>` +
    p('code-replaced', labels.code_replaced) +
    `<p id="pay-code-problem" class="code-failed problem" role="alert"></p>` +
    (link === undefined
      ? ''
      : `<div class="qr code-link" role="img" aria-label="${escapeHtml(labels.scan_label)}" data-testid="qr">${qrRegion(link)}</div>` +
        p('code-link', labels.scan_text)) +
    `<button type="button" id="pay-code-again" class="button secondary" data-testid="code-again">${escapeHtml(labels.code_again)}</button>`
  );
}

/** A QR code: black on white in every theme, with the quiet zone scanners need. */
export function qrRegion(url: string): string {
  return renderSVG(url, { ecc: 'M', border: 3, pixelSize: 4 });
}
