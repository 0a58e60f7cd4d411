#include "textflag.h"

// See fatal.go. The two functions have the names and the calling convention of the
// runtime's own, of which the linker has them take the place: of two definitions, one of
// them DUPOK, it takes the larger.

// func exit(code int32)
TEXT runtime·exit(SB), NOSPLIT|NOFRAME|DUPOK, $0-4
	MOVL	code+0(FP), DI
	CMPQ	·said(SB), $0
	JEQ	leave
	MOVQ	$1, AX
	XCHGQ	AX, ·leaving(SB)
	CMPQ	AX, $0
	JNE	wait
	LEAQ	·stack(SB), SP
	ADDQ	$(32768-64), SP // stackSize
	MOVQ	$·last(SB), AX
	JMP	AX
wait: // another thread is in last
	MOVL	$24, AX // SYS_sched_yield
	SYSCALL
	JMP	wait
leave:
	MOVL	$231, AX // SYS_exit_group
	SYSCALL
	JMP	leave

// func write1(fd uintptr, p unsafe.Pointer, n int32) int32
TEXT runtime·write1(SB), NOSPLIT|NOFRAME|DUPOK, $0-28
	MOVQ	fd+0(FP), DI
	MOVQ	p+8(FP), SI
	MOVLQSX	n+16(FP), DX
	CMPQ	DI, $2
	JNE	write
	CMPQ	DX, $0
	JLE	write
	MOVQ	·said(SB), CX
	CMPQ	CX, $0
	JNE	keep
	MOVBLZX	(SI), AX
	CMPL	AX, $0x66 // "fatal error: "
	JEQ	keep
	CMPL	AX, $0x72 // "runtime: "
	JNE	write
keep:
	MOVL	DX, ret+24(FP)
	MOVQ	$65536, AX // textSize
	SUBQ	CX, AX
	CMPQ	DX, AX
	JGT	full
	LEAQ	·text(SB), DI
	ADDQ	CX, DI
	ADDQ	DX, CX
	MOVQ	CX, ·said(SB)
	MOVQ	DX, CX
	CLD
	REP; MOVSB
full:
	RET
write:
	MOVL	$1, AX // SYS_write
	SYSCALL
	MOVL	AX, ret+24(FP)
	RET
