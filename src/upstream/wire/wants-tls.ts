/** Of nginx, Go and Apache. */
const WORDS =
  /plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|speaking plain HTTP to an SSL/i;

/** Whether a refusal with status 400 is that of a server that speaks TLS, and has understood no word of the request. */
export function wantsTls(status: number, body: string): boolean {
  return status === 400 && WORDS.test(body);
}
