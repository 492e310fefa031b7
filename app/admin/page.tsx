/** /admin is the order list. */
import { redirect } from 'next/navigation';
import { consoleHome } from '../../lib/admin_return.ts';
import { requireOperator } from './operator.ts';

export default async function AdminPage(): Promise<never> {
  await requireOperator(consoleHome);
  redirect(consoleHome);
}
