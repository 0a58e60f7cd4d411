//go:build !portablesignals

#include "textflag.h"

// func handler(sig int32 R0, info *siginfo_t R1, context *ucontext_t R2)
// write(sig == SIGCHLD ? childFD : pipeFD, info, 128), by the kernel's calling
// convention. The kernel returns from it through the vDSO.
TEXT ·handler(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	CMPW	$17, R0 // SIGCHLD
	MOVD	·pipeFD(SB), R0
	BNE	write
	MOVD	·childFD(SB), R0
write:
	MOVD	$128, R2
	MOVD	$64, R8 // SYS_write
	SVC
	RET

DATA ·handlerPC(SB)/8, $·handler(SB)
GLOBL ·handlerPC(SB), NOPTR, $8
