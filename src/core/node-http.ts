/**
 * Node's HTTP/1.1. To `import` it brings Node's web client and HTTP/2 into memory, for the sake of the names that can be imported; nothing of them
 * is used here. Types may be imported.
 */
export const http = process.getBuiltinModule('node:http');
