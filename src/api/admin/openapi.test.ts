import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { openApiDocument } from './openapi.ts';

interface Described {
  readonly operationId: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: object }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content: Content }>>;
}

type Content = Readonly<Record<string, { readonly schema: object }>>;

const document = openApiDocument() as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
};

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ route: `${method} ${path}`, path, operation })),
);

describe.each(operations)('$route', ({ path, operation }) => {
  it('has schemas that a validator takes', () => {
    const ajv = new Ajv2020();
    (formats as unknown as (ajv: Ajv2020) => void)(ajv);
    const { parameters = [], requestBody, responses } = operation;
    const contents = [requestBody?.content ?? {}, ...Object.values(responses).map(({ content }) => content)];
    const schemas = contents.flatMap((content) => Object.values(content).map(({ schema }) => schema));
    for (const schema of [...schemas, ...parameters.map(({ schema }) => schema)])
      if (!('$ref' in schema)) expect(ajv.validateSchema(schema)).toBe(true);
  });

  it('names every part of its path', () => {
    const named = (operation.parameters ?? []).filter((one) => one.in === 'path').map(({ name }) => name);
    expect(named).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
  });
});

it.each(operations.filter(({ route }) => /^(post|patch) /.test(route)))(
  '$route says that it wants JSON, without which it is refused',
  ({ operation }) => {
    expect(operation.requestBody).toMatchObject({
      required: true,
      content: { 'application/json': { schema: { type: 'object' } } },
    });
  },
);

it('names every operation once', () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

it('says what a new key may be given, and that its reply has the secret', () => {
  const { requestBody, responses } = document.paths['/admin/keys']!.post!;
  expect(requestBody!.content['application/json']!.schema).toMatchObject({
    additionalProperties: false,
    required: ['name', 'projectId'],
  });
  expect(responses['201']!.content['application/json']!.schema).toMatchObject({
    properties: { secret: { type: 'string' } },
  });
});
