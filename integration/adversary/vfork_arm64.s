#include "textflag.h"

// func hangInVfork(fd uintptr)
//
// As in vfork_amd64.s.
TEXT ·hangInVfork(SB), NOSPLIT, $0-8
	MOVD fd+0(FP), R19
	MOVD $0x4111, R0 // CLONE_VM|CLONE_VFORK|SIGCHLD
	MOVD $0, R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	MOVD $220, R8    // clone
	SVC
	CBNZ R0, parent
	MOVD R19, R0
	MOVD $·dot(SB), R1
	MOVD $1, R2
	MOVD $64, R8     // write
	SVC
again:
	MOVD $0, R0
	MOVD $0, R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	MOVD $73, R8     // ppoll
	SVC
	JMP  again
parent:
	RET
