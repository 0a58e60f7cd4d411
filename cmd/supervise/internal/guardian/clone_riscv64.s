#include "textflag.h"

// func clone(trap, first, second, third, local, begin uintptr, t *twin) (pid uintptr)
TEXT ·clone(SB), NOSPLIT, $0-64
	MOV	trap+0(FP), A7
	MOV	first+8(FP), A0
	MOV	second+16(FP), A1
	MOV	third+24(FP), A2
	MOV	local+32(FP), A3
	MOV	$0, A4
	MOV	begin+40(FP), S10
	MOV	t+48(FP), S9
	ECALL
	BEQZ	A0, child
	MOV	A0, pid+56(FP)
	RET
child: // on a stack of its own; see clone_amd64.s
	MOV	S9, A0
	CALL	S10
	EBREAK
