//go:build !race && !msan && !asan

package guardian

const withC = false
