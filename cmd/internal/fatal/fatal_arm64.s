#include "textflag.h"

// See fatal_amd64.s.

// func exit(code int32)
TEXT runtime·exit(SB), NOSPLIT|NOFRAME|DUPOK, $0-4
	MOVW	code+0(FP), R0
	MOVD	·said(SB), R1
	CBZ	R1, leave
	MOVD	$·leaving(SB), R1
	MOVD	$1, R2
again:
	LDAXR	(R1), R3
	STLXR	R2, (R1), R4
	CBNZ	R4, again
	CBNZ	R3, wait
	MOVD	$·stack(SB), R1
	MOVD	$(32768-64), R2 // stackSize
	ADD	R2, R1
	MOVD	R1, RSP
	MOVD	$·last(SB), R2
	B	(R2)
wait: // another thread is in last
	MOVD	$124, R8 // SYS_sched_yield
	SVC
	B	wait
leave:
	MOVD	$94, R8 // SYS_exit_group
	SVC
	B	leave

// func write1(fd uintptr, p unsafe.Pointer, n int32) int32
TEXT runtime·write1(SB), NOSPLIT|NOFRAME|DUPOK, $0-28
	MOVD	fd+0(FP), R0
	MOVD	p+8(FP), R1
	MOVW	n+16(FP), R2
	CMP	$2, R0
	BNE	write
	CMP	$0, R2
	BLE	write
	MOVD	·said(SB), R3
	CBNZ	R3, keep
	MOVBU	(R1), R4
	CMP	$0x66, R4 // "fatal error: "
	BEQ	keep
	CMP	$0x72, R4 // "runtime: "
	BNE	write
keep:
	MOVW	R2, ret+24(FP)
	ADD	R3, R2, R5
	MOVD	$65536, R4 // textSize
	CMP	R4, R5
	BGT	full
	MOVD	R5, ·said(SB)
	MOVD	$·text(SB), R4
	ADD	R3, R4
next:
	MOVBU.P	1(R1), R5
	MOVB.P	R5, 1(R4)
	SUBS	$1, R2
	BNE	next
full:
	RET
write:
	MOVD	$64, R8 // SYS_write
	SVC
	MOVW	R0, ret+24(FP)
	RET
