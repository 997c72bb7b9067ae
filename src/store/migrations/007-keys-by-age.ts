import type { Migration } from '../migrations.ts';

/** Lists of keys come by age, a page at a time: with many keys nobody should have to sort them all for each page, in SQLite in the thread that serves. */
export const keysByAge: Migration = {
  name: 'keys by age',
  async up({ schema }) {
    await schema.createIndex('api_key_age').on('api_key').columns(['created_at_ms', 'id']).execute();
    await schema
      .createIndex('api_key_project_age')
      .on('api_key')
      .columns(['project_id', 'created_at_ms', 'id'])
      .execute();
    // That one knows all that it knew.
    await schema.dropIndex('api_key_project').execute();
  },
};
