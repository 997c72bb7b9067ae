/** Whether a path belongs to operators: such replies are for no web page, whatever CORS allows elsewhere. */
export function isAdminPath(path: string): boolean {
  return path === '/admin' || path.startsWith('/admin/');
}
