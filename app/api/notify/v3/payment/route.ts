/** WeChat's payment notification, API v3. */
import { context } from '../../../../../lib/context.ts';
import { receivePayment } from '../../../../../lib/notify.ts';

export function POST(request: Request): Promise<Response> {
  return receivePayment(context(), 'v3', request);
}
