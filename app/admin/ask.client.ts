/** How the console's browser code asks our own JSON doorways: always in Chinese, every failure a sentence. */

/** `status` 0: nothing came back, and nobody knows whether it was done. `code` is ours, where there is one. */
export type Answer<Body> =
  | { ok: true; body: Body }
  | { ok: false; status: number; message: string; code?: string };

/** Posts JSON, or gets when there is no body to send. */
export async function ask<Body>(address: string, send?: object): Promise<Answer<Body>> {
  let response: Response;
  try {
    response = await fetch(address, {
      method: send === undefined ? 'GET' : 'POST',
      headers: { 'Content-Type': 'application/json', 'Accept-Language': 'zh-CN' },
      ...(send === undefined ? {} : { body: JSON.stringify(send) }),
    });
  } catch (cause) {
    console.warn('no answer from our own server', cause);
    return { ok: false, status: 0, message: '网络不通，请检查网络后重试' };
  }
  const body: unknown = await response.json().catch((cause: unknown) => {
    console.warn('an answer that is not JSON', response.status, cause);
    return {};
  });
  if (response.ok) return { ok: true, body: body as Body };
  const { error } = body as { error?: { code?: string; message?: string; support_id?: string } };
  const support = error?.support_id === undefined ? '' : `（支持编号 ${error.support_id}）`;
  return {
    ok: false,
    status: response.status,
    ...(error?.code === undefined ? {} : { code: error.code }),
    message: `${error?.message ?? `服务器应答 ${response.status}，请稍后重试`}${support}`,
  };
}

/** A session that ended meanwhile: to the login, and back here afterwards. True when the page is being left. */
export function leaveIfSignedOut(answer: Answer<unknown>): boolean {
  if (answer.ok || answer.status !== 401) return false;
  const { pathname, search } = window.location;
  window.location.assign(`/admin/login?next=${encodeURIComponent(pathname + search)}`);
  return true;
}
