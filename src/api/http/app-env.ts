import type { IncomingMessage, ServerResponse } from 'node:http';

/** What every route may rely on. The bindings are absent when a test calls `app.request()`. */
export interface AppEnv {
  Bindings: { readonly incoming?: IncomingMessage; readonly outgoing?: ServerResponse };
  Variables: {
    requestId: string;
    receivedAtMs: number;
    /** A client that takes nothing for so long is cut off. */
    stallTimeoutMs: number;
    /** Where this gateway stands, if the configuration says. */
    region: string | undefined;
    /** Replies tell which deployment made them. */
    routeHeader: boolean;
    /** Headers of middleware (CORS, draining) for replies that are written directly. */
    replyHeaders: Readonly<Record<string, string>>;
  };
}
