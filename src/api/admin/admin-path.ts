/** Whether a path belongs to operators, however it is written: such replies are for no web page, whatever CORS allows elsewhere. */
export function isAdminPath(path: string): boolean {
  const plain = path.includes('%') ? decoded(path) : path;
  return plain === '/admin' || plain.startsWith('/admin/');
}

/** As the router does. */
function decoded(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}
