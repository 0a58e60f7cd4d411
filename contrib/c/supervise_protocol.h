/* What supervise without arguments, and whoever started it, say to each other. */
#ifndef SUPERVISE_PROTOCOL_H
#define SUPERVISE_PROTOCOL_H

#include <signal.h>
#include <sys/types.h>

/*
 * A request: send a signal to an immediate child of supervise, living or zombie; for any other process it is ignored. On a
 * SOCK_SEQPACKET socket one message holds one or more requests.
 */
struct supervise_send_signal {
	pid_t pid;
	int signal;
};

/*
 * An event is the siginfo_t that waitid(2) fills for a child that changed status: si_pid, si_uid, si_status, and CLD_EXITED,
 * CLD_KILLED, CLD_DUMPED, CLD_STOPPED or CLD_CONTINUED in si_code. Each is one message.
 */

#endif
