/**
 * What a page looks like to somebody who needs it large, dark, by ear or by keyboard: axe's serious findings, and
 * text that is cut off, overlaps or runs out of the screen.
 */
import { gzipSync } from 'node:zlib';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page, Response } from 'playwright-core';

/** Serious and critical findings of axe, contrast included, each as `rule: element`. */
export function barriers(page: Page): Promise<string[]> {
  // The legacy mode opens no page of its own in a context that pretends to be WeChat.
  return serious(page, new AxeBuilder({ page }).setLegacyMode());
}

async function serious(page: Page, axe: AxeBuilder): Promise<string[]> {
  // A colour on its way to another is nobody's choice: look once the page rests.
  await page.waitForFunction(() =>
    document.getAnimations().every(({ playState, effect }) => {
      const endless = effect?.getComputedTiming().endTime === Number.POSITIVE_INFINITY;
      return endless || playState !== 'running';
    }),
  );
  const { violations } = await axe.analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ''}`),
    );
}

/** The same, and the contrast once more in the dark; the page is left light. */
export async function barriersInBothThemes(page: Page): Promise<string[]> {
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
  const dark = await serious(page, new AxeBuilder({ page }).setLegacyMode().withRules(['color-contrast']));
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  return [...dark.map((text) => `in the dark ${text}`), ...(await barriers(page))];
}

/** Text larger by this factor, as WeChat's own setting makes it. */
export async function enlarge(page: Page, percent: number): Promise<void> {
  await page.evaluate((size) => {
    document.documentElement.style.setProperty('-webkit-text-size-adjust', `${size}%`);
    document.body.style.setProperty('-webkit-text-size-adjust', `${size}%`);
  }, percent);
}

/** Every place where text cannot be read: beyond the screen, cut off by its box, or under other text. */
export function unreadable(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    // What floats over the end of the page must not hide it once one is there.
    window.scrollTo(0, document.documentElement.scrollHeight);
    const found: string[] = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide`);
    const pieces: { text: string; element: Element; box: DOMRect }[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      const text = node.textContent?.trim() ?? '';
      if (element === null || text === '' || !element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest('script, style, noscript, [class*=unseen]') !== null) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) if (box.width > 1) pieces.push({ text, element, box });
    }
    for (const { text, element, box } of pieces) {
      if (box.left < -1 || box.right > root.clientWidth + 1) found.push(`beyond the screen: ${text}`);
      for (let frame: Element | null = element; frame !== null; frame = frame.parentElement) {
        const { overflowX, overflowY } = getComputedStyle(frame);
        const edge = frame.getBoundingClientRect();
        const cut_x = overflowX !== 'visible' && (box.left < edge.left - 1 || box.right > edge.right + 1);
        const cut_y = overflowY === 'hidden' && (box.top < edge.top - 2 || box.bottom > edge.bottom + 2);
        if (frame !== document.body && frame !== root && (cut_x || cut_y)) found.push(`cut off: ${text}`);
      }
    }
    pieces.forEach((one, index) => {
      for (const other of pieces.slice(index + 1)) {
        if (one.element === other.element) continue;
        const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
        const high = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
        // Line boxes of large letters touch; letters do not.
        if (wide > 2 && high > Math.min(one.box.height, other.box.height) * 0.4) {
          found.push(`overlap: ${one.text} / ${other.text}`);
        }
      }
    });
    return found;
  });
}

/** Things to tap that are smaller than a fingertip. */
export function tooSmall(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('button, a.button, .card.order')]
      .filter((element) => element.checkVisibility())
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.height < 43.5 || box.width < 43.5)
      .map(({ element, box }) => `${element.textContent} ${box.width}×${box.height}`),
  );
}

/** Whether a finger at the middle of the element would touch the element. */
export function reachable(page: Page, testid: string): Promise<boolean> {
  return page.getByTestId(testid).evaluate((element) => {
    element.scrollIntoView({ block: 'center' });
    const { left, top, width, height } = element.getBoundingClientRect();
    const touched = document.elementFromPoint(left + width / 2, top + height / 2);
    return touched !== null && element.contains(touched);
  });
}

export interface Weights {
  /** Gzipped bytes by kind of resource; of the document only the styles written into it. */
  bytes: Record<string, number>;
  origins: string[];
}

/** What opening an address costs a browser that has nothing of it yet. */
export async function weigh(page: Page, address: string): Promise<Weights> {
  const bytes: Record<string, number> = {};
  const origins = new Set<string>();
  const bodies: Promise<void>[] = [];
  const add = (answer: Response): void => {
    origins.add(new URL(answer.url()).origin);
    const kind = answer.request().resourceType();
    if (kind === 'document') return;
    bodies.push(
      answer.body().then((body) => {
        bytes[kind] = (bytes[kind] ?? 0) + gzipSync(body, { level: 9 }).length;
      }),
    );
  };
  page.on('response', add);
  await page.goto(address, { waitUntil: 'networkidle' });
  page.off('response', add);
  await Promise.all(bodies);
  const inside = await page.evaluate(() =>
    [...document.querySelectorAll('style')].map(({ textContent }) => textContent).join(''),
  );
  if (inside !== '') bytes.stylesheet = (bytes.stylesheet ?? 0) + gzipSync(inside, { level: 9 }).length;
  return { bytes, origins: [...origins] };
}
