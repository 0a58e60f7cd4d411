#include "textflag.h"

// func clone(trap, first, second, third, local, begin uintptr, t *twin) (pid uintptr)
TEXT ·clone(SB), NOSPLIT, $0-64
	MOVD	trap+0(FP), R8
	MOVD	first+8(FP), R0
	MOVD	second+16(FP), R1
	MOVD	third+24(FP), R2
	MOVD	local+32(FP), R3
	MOVD	$0, R4
	MOVD	begin+40(FP), R26
	MOVD	t+48(FP), R25
	SVC
	CBZ	R0, child
	MOVD	R0, pid+56(FP)
	RET
child: // on a stack of its own; see clone_amd64.s
	MOVD	R25, R0
	BL	(R26)
	BRK
