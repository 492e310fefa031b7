// What we use of autocannon 9, which brings no types of its own.
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  interface RequestToSend {
    method: string;
    path: string;
    headers: Record<string, string>;
    body: Buffer;
    onResponse: (status: number, body: string) => void;
  }

  interface Client {
    /** The requests of this one connection, sent in order, again from the first after the last. */
    setRequests(requests: RequestToSend[]): void;
  }

  interface Options {
    url: string;
    connections: number;
    /** Of requests, over all connections. */
    amount: number;
    timeout: number;
    sampleInt: number;
    setupClient: (client: Client) => void;
  }

  export interface Result {
    errors: number;
    timeouts: number;
    non2xx: number;
  }

  interface Instance extends EventEmitter {
    stop(): void;
  }

  export default function autocannon(
    options: Options,
    done: (error: Error | null, result: Result) => void,
  ): Instance;
}
