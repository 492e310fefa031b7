// Sends messages over many connections, each connection its own share one after the other, and keeps what was
// answered. Says how fast it went; whether the answers were right is for the caller to find out.
import autocannon, { type Result } from 'autocannon';
import { Fault } from '../fault.ts';
import type { BenchMessage } from './messages.ts';
import { quantile } from './statistics.ts';

export interface Load {
  url: string;
  messages: readonly BenchMessage[];
  connections: number;
  signal: AbortSignal;
  /** Called for each answer. */
  onAnswer: (message: BenchMessage, status: number, body: string) => void;
}

export interface LoadResult {
  per_s: number;
  p50_ms: number;
  p99_ms: number;
}

const answer_timeout_s = 30;

/** Sends every message once. A Fault when one was not answered. */
export async function runLoad({ url, messages, connections, signal, onAnswer }: Load): Promise<LoadResult> {
  signal.throwIfAborted();
  const { pathname } = new URL(url);
  const headers = { 'Content-Type': 'text/xml' };
  let answered = 0;
  let last_at = 0;
  const shares = Array.from({ length: connections }, (_, connection) =>
    messages.filter((_message, at) => at % connections === connection),
  );
  const latencies: number[] = [];
  let connection = 0;
  let began_at = 0;
  const result = await new Promise<Result>((resolve, reject) => {
    const instance = autocannon(
      {
        url,
        connections,
        amount: messages.length,
        timeout: answer_timeout_s,
        sampleInt: 50,
        setupClient: (client) => {
          const share = shares[connection] ?? [];
          connection += 1;
          client.setRequests(
            share.map((message) => ({
              method: 'POST',
              path: pathname,
              headers,
              body: message.body,
              onResponse: (status, body) => {
                answered += 1;
                last_at = performance.now();
                onAnswer(message, status, body);
              },
            })),
          );
        },
      },
      (error, ended) => {
        signal.removeEventListener('abort', stop);
        if (signal.aborted) reject(signal.reason);
        else if (error !== null) reject(error);
        else resolve(ended);
      },
    );
    const stop = (): void => instance.stop();
    signal.addEventListener('abort', stop, { once: true });
    // The clients were made in this very turn of the loop, with their messages ready; nothing has been sent yet.
    began_at = performance.now();
    instance.on('response', (_client: unknown, _status: number, _bytes: number, latency_ms: number) => {
      latencies.push(latency_ms);
    });
  });
  if (answered !== messages.length || result.errors > 0) {
    throw new Fault(
      `${url} answered ${answered} of ${messages.length} messages (${result.errors} errors, ${result.timeouts} of them time-outs).`,
    );
  }
  return {
    per_s: (messages.length * 1_000) / (last_at - began_at),
    p50_ms: quantile(latencies, 0.5),
    p99_ms: quantile(latencies, 0.99),
  };
}
