//go:build amd64 || arm64

package main

// hangInVfork writes a byte to fd from a vforked child that never execs. It returns when that child is gone.
//
//go:noescape
func hangInVfork(fd uintptr)
