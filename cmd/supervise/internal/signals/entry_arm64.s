#include "textflag.h"

// See entry_amd64.s.
TEXT _rt0_arm64_linux(SB), NOSPLIT|NOFRAME|DUPOK, $0
	MOVD	$0, R0
	MOVD	$0, R1
	MOVD	$·entryBlocked(SB), R2
	MOVD	$8, R3   // size of the kernel's sigset_t
	MOVD	$135, R8 // SYS_rt_sigprocmask
	SVC
	MOVD	$0, R20 // the set of those ignored
	MOVD	$1, R19
	MOVD	$1, R21 // the signal's bit
next:
	MOVD	R19, R0
	MOVD	$0, R1
	MOVD	$·entryAction(SB), R2
	MOVD	$8, R3
	MOVD	$134, R8 // SYS_rt_sigaction
	SVC
	CBNZ	R0, done
	MOVD	·entryAction(SB), R4
	CMP	$1, R4 // SIG_IGN
	BNE	done
	ORR	R21, R20, R20
done:
	LSL	$1, R21, R21
	ADD	$1, R19, R19
	CMP	$64, R19
	BLE	next
	MOVD	R20, ·entryIgnored(SB)
	MOVD	$30, R0  // PR_GET_TIMERSLACK
	MOVD	$167, R8 // SYS_prctl
	SVC
	MOVD	R0, ·entrySlack(SB)
	MOVD	$29, R0 // PR_SET_TIMERSLACK
	MOVD	$10000000, R1
	MOVD	$167, R8
	SVC
	MOVD	$0, R0
	MOVD	$7, R1 // RLIMIT_NOFILE
	MOVD	$0, R2
	MOVD	$·entryFiles(SB), R3
	MOVD	$261, R8 // SYS_prlimit64
	SVC
	MOVD	$1, R4
	MOVD	R4, ·entryRan(SB)
	JMP	_rt0_arm64(SB)
