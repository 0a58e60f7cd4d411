/* A program that includes the headers, to be compiled by every standard, with any macro of the system's or none. */
#include <stdio.h>
#include <supervise.h>
#include <supervise_protocol.h>

#if !defined(_SUPERVISE_H) || !defined(_SUPERVISE_PROTOCOL_H)
#error the guards of the C program: a program that has its headers as well gets each once
#endif

#ifdef HELPER /* what a program of the old days may well have */
static int supervise_send_signal(pid_t pid, int signal)
{
	struct supervise_send_signal request;
	request.pid = pid;
	request.signal = signal;
	return fwrite(&request, sizeof request, 1, stdout) == 1;
}
#elif defined(__cplusplus)
static supervise_send_signal request; /* the name of a type, without struct */
#else
static struct supervise_send_signal request;
#endif

int main(void)
{
	struct supervise_options options = {0, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL};
	int fd = supervise_spawnfd(NULL, &options);
#ifdef SI_USER
	siginfo_t event;
	if (supervise_read_event(fd, &event) == 1 && supervise_event_ended(&event))
		return event.si_status;
#endif
#ifdef HELPER
	return supervise_send_signal(1, 15) + supervise_signal(fd, 1, 15);
#elif defined(SUPERVISE_1_0)
	return supervise_send_signal(fd, 1, request.signal);
#else
	return supervise_signal(fd, request.pid, request.signal);
#endif
}
