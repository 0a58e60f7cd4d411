/* What supervise without arguments, and whoever started it, say to each other. */
#ifndef _SUPERVISE_PROTOCOL_H
#define _SUPERVISE_PROTOCOL_H 1

#include <signal.h>
#include <sys/types.h>

/*
 * A request: send a signal to an immediate child of supervise, living or zombie; for any other process it is ignored. On a
 * SOCK_SEQPACKET socket one message holds one or more requests. What means nothing, such as signal 65, is ignored as well, and
 * supervise says so on stderr at the end.
 */
struct supervise_send_signal {
	pid_t pid;
	int signal;
};

/*
 * An event is the siginfo_t that waitid(2) fills for a child that changed status: si_pid, si_uid, si_status, and in si_code how.
 * Each is one message. The child has ended if si_code is CLD_EXITED, CLD_KILLED or CLD_DUMPED, and has not if it is CLD_STOPPED
 * or CLD_CONTINUED: see supervise_event_ended.
 */

#endif
