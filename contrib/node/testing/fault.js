'use strict';

/** What a request is answered with that cannot be carried out: an error of JSON-RPC. */
class Fault extends Error {
  constructor(code, message, data) {
    super(message);
    this.code = code;
    this.data = data;
  }

  /** Returns the error object of JSON-RPC. */
  get sent() {
    return { code: this.code, message: this.message, ...(this.data && { data: this.data }) };
  }
}

const CODE = {
  parse: -32700, invalidRequest: -32600, noMethod: -32601, invalidParams: -32602, hello: -32001, tooLong: -32002, tooMany: -32003,
  noJob: -32004, notFound: -32005, notExecutable: -32006, limit: -32007, unsupported: -32008, shuttingDown: -32009, system: -32010,
};

/** Returns the fault of a parameter. */
function wrong(field, message = 'wrong value') {
  return new Fault(CODE.invalidParams, `${field}: ${message}`, { field });
}

module.exports = { CODE, Fault, wrong };
