// How the page talks to the control door: one question, and what a button does with the trouble it may meet.

import { $ } from './dom.js';

/** The platform's configuration as it was last told. */
export const world = { config: { users: [], merchants: [] } };

let redraw = async () => {};
export function redrawBy(draw) {
  redraw = draw;
}

export async function ask(path, method = 'GET', body) {
  const response = await fetch(`/_sim/${path}`, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok)
    throw new Error(`${answer.code} ${answer.message}${answer.why ? ` (${answer.why})` : ''}`);
  return answer;
}

/** Runs what a button does, shows what went wrong, draws anew. */
export async function act(work) {
  $('problem').hidden = true;
  try {
    await work();
  } catch (cause) {
    $('problem').textContent = cause.message;
    $('problem').hidden = false;
  }
  await redraw();
}
