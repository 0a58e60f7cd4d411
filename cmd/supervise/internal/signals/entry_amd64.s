#include "textflag.h"

// The program begins here, and not in the entry of Go's runtime of the same name: of two
// that may be duplicates (DUPOK) the linker takes the larger. It notes which signals are
// ignored and blocked, and goes on to what the runtime's entry does. There is no Go yet,
// and on the stack are the arguments: no call, no stack, no register to keep.
TEXT _rt0_amd64_linux(SB), NOSPLIT|NOFRAME|DUPOK, $0
	MOVQ	$0, DI
	MOVQ	$0, SI
	LEAQ	·entryBlocked(SB), DX
	MOVQ	$8, R10 // size of the kernel's sigset_t
	MOVQ	$14, AX // SYS_rt_sigprocmask
	SYSCALL
	MOVQ	$0, R12 // the set of those ignored
	MOVQ	$1, BX
next:
	MOVQ	BX, DI
	MOVQ	$0, SI
	LEAQ	·entryAction(SB), DX
	MOVQ	$8, R10
	MOVQ	$13, AX // SYS_rt_sigaction
	SYSCALL
	CMPQ	AX, $0
	JNE	done
	CMPQ	·entryAction(SB), $1 // SIG_IGN
	JNE	done
	MOVQ	BX, CX
	DECQ	CX
	BTSQ	CX, R12
done:
	INCQ	BX
	CMPQ	BX, $64
	JLE	next
	MOVQ	R12, ·entryIgnored(SB)
	MOVQ	$30, DI // PR_GET_TIMERSLACK
	MOVQ	$157, AX // SYS_prctl
	SYSCALL
	MOVQ	AX, ·entrySlack(SB)
	MOVQ	$29, DI // PR_SET_TIMERSLACK
	MOVQ	$10000000, SI
	MOVQ	$157, AX
	SYSCALL
	MOVQ	$0, DI
	MOVQ	$7, SI // RLIMIT_NOFILE
	MOVQ	$0, DX
	LEAQ	·entryFiles(SB), R10
	MOVQ	$302, AX // SYS_prlimit64
	SYSCALL
	MOVQ	$1, ·entryRan(SB)
	JMP	_rt0_amd64(SB)
