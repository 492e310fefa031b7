'use client';
/** Brings a page up to date by itself while money on it is on its way; it asks WeChat nothing, the worker does that. */
import { useRouter } from 'next/navigation';
import { useEffect } from 'react';

const after_ms = [3_000, 8_000, 20_000, 60_000];

/** `under_way`: numbers of what has no end yet. Any change among them begins the series again; none is no series. */
export function Follow({ under_way }: { under_way: readonly string[] }) {
  const router = useRouter();
  const series = under_way.join();
  useEffect(() => {
    if (series === '') return;
    const timers = after_ms.map((ms) => setTimeout(() => router.refresh(), ms));
    return () => timers.forEach(clearTimeout);
  }, [router, series]);
  return null;
}
