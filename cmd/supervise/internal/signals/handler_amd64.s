//go:build !portablesignals

#include "textflag.h"

// func handler(sig int32 DI, info *siginfo_t SI, context *ucontext_t DX)
// write(sig == SIGCHLD ? childFD : pipeFD, info, 128), by the kernel's calling
// convention; the kernel restores all registers afterwards.
TEXT ·handler(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	CMPL	DI, $17 // SIGCHLD
	MOVQ	·pipeFD(SB), DI
	JNE	write
	MOVQ	·childFD(SB), DI
write:
	MOVL	$128, DX
	MOVL	$1, AX // SYS_write
	SYSCALL
	RET

// The kernel returns from a handler to here, and wants rt_sigreturn(2).
TEXT ·restorer(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL	$15, AX // SYS_rt_sigreturn
	SYSCALL
	INT	$3 // not reached

DATA ·handlerPC(SB)/8, $·handler(SB)
GLOBL ·handlerPC(SB), NOPTR, $8
DATA ·restorerPC(SB)/8, $·restorer(SB)
GLOBL ·restorerPC(SB), NOPTR, $8
