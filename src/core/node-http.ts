/**
 * Node's HTTP/1.1. An `import` of it brings Node's web client and HTTP/2 into memory, only because their names could
 * be imported; nothing here uses them. Types may be imported.
 */
export const http = process.getBuiltinModule('node:http');
