//go:build race || msan || asan

package guardian

// withC says that C's library is there.
const withC = true
