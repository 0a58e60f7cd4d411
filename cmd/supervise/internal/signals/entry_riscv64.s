#include "textflag.h"

// See entry_amd64.s. The last three instructions are those of the runtime's entry.
TEXT _rt0_riscv64_linux(SB), NOSPLIT|NOFRAME|DUPOK, $0
	MOV	$0, A0
	MOV	$0, A1
	MOV	$·entryBlocked(SB), A2
	MOV	$8, A3   // size of the kernel's sigset_t
	MOV	$135, A7 // SYS_rt_sigprocmask
	ECALL
	MOV	$0, S2 // the set of those ignored
	MOV	$1, S3
	MOV	$1, S4 // the signal's bit
next:
	MOV	S3, A0
	MOV	$0, A1
	MOV	$·entryAction(SB), A2
	MOV	$8, A3
	MOV	$134, A7 // SYS_rt_sigaction
	ECALL
	BNE	A0, ZERO, done
	MOV	·entryAction(SB), T0
	MOV	$1, T1 // SIG_IGN
	BNE	T0, T1, done
	OR	S4, S2, S2
done:
	SLL	$1, S4, S4
	ADD	$1, S3, S3
	MOV	$64, T1
	BGE	T1, S3, next
	MOV	S2, ·entryIgnored(SB)
	MOV	$30, A0  // PR_GET_TIMERSLACK
	MOV	$167, A7 // SYS_prctl
	ECALL
	MOV	A0, ·entrySlack(SB)
	MOV	$29, A0 // PR_SET_TIMERSLACK
	MOV	$10000000, A1
	MOV	$167, A7
	ECALL
	MOV	$0, A0
	MOV	$7, A1 // RLIMIT_NOFILE
	MOV	$0, A2
	MOV	$·entryFiles(SB), A3
	MOV	$261, A7 // SYS_prlimit64
	ECALL
	MOV	$1, T0
	MOV	T0, ·entryRan(SB)
	MOV	0(X2), A0 // argc
	ADD	$8, X2, A1 // argv
	JMP	main(SB)
