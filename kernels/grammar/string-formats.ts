/**
 * Formats of JSON Schema as expressions: each allows part of what the format does, so that validators of any
 * strictness agree. A format that is not listed is an annotation, as the standard has it.
 */
const HOST = '([a-z0-9]{1,12}\\.){1,2}[a-z]{2,6}';
const DATE = '(19|20)\\d\\d-(0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])';
const TIME = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-](0\\d|1[0-3]):[0-5]\\d)';
const BYTE = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const PATH = '(/[A-Za-z0-9_~-]{1,16}){0,4}/?';
const URI = `^https?://${HOST}${PATH}$`;

export const STRING_FORMATS: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  'iso-time': `^${TIME}$`,
  'iso-date-time': `^${DATE}T${TIME}$`,
  duration: '^P(\\d{1,4}D|(\\d{1,4}D)?T(\\d{1,4}H)?(\\d{1,4}M)?\\d{1,4}S|\\d{1,4}W|\\d{1,4}Y(\\d{1,4}M)?)$',
  email: `^[A-Za-z0-9]{1,12}([._-][A-Za-z0-9]{1,12})?@${HOST}$`,
  hostname: `^${HOST}$`,
  ipv4: `^(${BYTE}\\.){3}${BYTE}$`,
  ipv6: '^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$',
  uuid: '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
  uri: URI,
  'uri-reference': `^(https?://${HOST})?${PATH}$`,
  url: URI,
  'uri-template': URI,
  iri: URI,
  'json-pointer': '^(/[A-Za-z0-9_-]+)*$',
  'relative-json-pointer': '^(0|[1-9]\\d?)(#|(/[A-Za-z0-9_-]+)*)$',
  regex: '^[A-Za-z0-9]{1,32}$',
  byte: '^([A-Za-z0-9+/]{4})*$',
};
