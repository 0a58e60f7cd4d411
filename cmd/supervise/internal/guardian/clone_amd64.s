#include "textflag.h"

// func clone(trap, first, second, third, local, begin uintptr, t *twin) (pid uintptr)
TEXT ·clone(SB), NOSPLIT, $0-64
	MOVQ	trap+0(FP), AX
	MOVQ	first+8(FP), DI
	MOVQ	second+16(FP), SI
	MOVQ	third+24(FP), DX
	MOVQ	$0, R10
	MOVQ	local+32(FP), R8
	MOVQ	begin+40(FP), R12
	MOVQ	t+48(FP), R13
	SYSCALL
	CMPQ	AX, $0
	JEQ	child
	MOVQ	AX, pid+56(FP)
	RET
child: // on a stack of its own; not by a name of Go's, which would be a call by a wrapper that needs a goroutine
	XORPS	X15, X15
	MOVQ	R13, AX // the first argument, where Go passes it in a register
	CALL	R12
	INT	$3
