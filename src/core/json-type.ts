const JSON_TYPE = /^(?:application\/(?:[\w.+-]+\+)?|text\/)json\b/i;

/** Whether a content type is that of JSON, or of something written in it (WHATWG MIME Sniffing, "JSON MIME type"). */
export function isJsonType(contentType: string): boolean {
  return contentType === 'application/json' || JSON_TYPE.test(contentType);
}
