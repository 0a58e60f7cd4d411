#include "textflag.h"

// func hangInVfork(fd uintptr)
//
// The child shares memory and stack with the parent, which the kernel suspends until the child execs or ends. So the child
// touches neither: it writes one byte to fd, and then pauses for ever.
TEXT ·hangInVfork(SB), NOSPLIT, $0-8
	MOVQ fd+0(FP), R12
	MOVQ $0x4111, DI // CLONE_VM|CLONE_VFORK|SIGCHLD
	XORQ SI, SI
	XORQ DX, DX
	XORQ R10, R10
	XORQ R8, R8
	MOVQ $56, AX     // clone
	SYSCALL
	TESTQ AX, AX
	JNE  parent
	MOVQ R12, DI
	LEAQ ·dot(SB), SI
	MOVQ $1, DX
	MOVQ $1, AX      // write
	SYSCALL
again:
	MOVQ $34, AX     // pause
	SYSCALL
	JMP  again
parent:
	RET
