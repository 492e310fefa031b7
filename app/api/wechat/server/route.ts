/** The official account's server: the check of its address, and what WeChat pushes to it. */
import { checkServerAddress, receivePush } from '../../../../lib/account_messages.ts';
import { context } from '../../../../lib/context.ts';

export function GET(request: Request): Response {
  return checkServerAddress(context(), request);
}

export function POST(request: Request): Promise<Response> {
  return receivePush(context(), request);
}
