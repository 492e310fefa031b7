/** Every address nobody else answers, so that it looks like the shop and says 404. */
import { notFound } from 'next/navigation';

export const dynamic = 'force-dynamic';

export default function Missing(): never {
  notFound();
}
