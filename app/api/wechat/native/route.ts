/** WeChat asks for the order behind a printed code that was just scanned (NATIVE mode 1). */
import { context } from '../../../../lib/context.ts';
import { answering } from '../../../../lib/http.ts';
import { receiveScan } from '../../../../lib/native_scan.ts';

export function POST(request: Request): Promise<Response> {
  const ctx = context();
  return answering(ctx, request, () => receiveScan(ctx, request));
}
