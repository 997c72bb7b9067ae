/** Ways to write a path that some part on the way may take for another. */
export function disguised(path: string): string[] {
  const [, first, rest] = /^\/(\w+)\/?(.*)$/.exec(path)!;
  return [
    ...[
      `/${path}`,
      `/${first}//${rest}`,
      `${path}/`,
      `${path}?x=1`,
      `${path}#x`,
      `${path};x=1`,
      `${path}%00`,
    ],
    ...[`/./${first}/${rest}`, `/healthz/..${path}`, `/healthz/%2e%2e${path}`, `/metrics/..;${path}`],
    ...[path.toUpperCase(), `/%${first!.charCodeAt(0).toString(16)}${first!.slice(1)}/${rest}`],
    ...[`/${first}%2f${rest}`, `/${first}%5c${rest}`, `/${first}\\${rest}`, `http://localhost${path}`],
    ...[`http://healthz${path}`, `${path}%20`, `${path}%0d%0ax:y`, `${path}?/healthz`],
  ];
}
