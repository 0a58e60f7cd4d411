'use strict';

/** A promise, and what settles it. Its rejection is nobody's fault until somebody waits for it: see Job. */
class Deferred {
  settled = false;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = (value) => { this.settled = true; resolve(value); };
      this.reject = (error) => { this.settled = true; reject(error); };
    });
    this.promise.catch(() => {});
  }
}

module.exports = { Deferred };
