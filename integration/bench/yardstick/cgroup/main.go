// Cgroup is the least that a Go program can do to run another one in a cgroup of the shape that supervise gives it: a session,
// a job, and the leaf where the process is born. All three go at the end.
//
//	cgroup DIRECTORY PROGRAM [ARG]...
package main

import (
	"os"
	"syscall"
)

func main() {
	session := os.Args[1] + "/least"
	job := session + "/job"
	leaf := job + "/main"
	for _, dir := range []string{session, job, leaf} {
		check(syscall.Mkdir(dir, 0o755))
	}
	fd, err := syscall.Open(leaf, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	check(err)
	pid, err := syscall.ForkExec(os.Args[2], os.Args[2:], &syscall.ProcAttr{
		Env: syscall.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd},
	})
	check(err)
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			break
		}
	}
	for _, dir := range []string{leaf, job, session} {
		check(syscall.Rmdir(dir))
	}
	syscall.Exit(status.ExitStatus())
}

func check(err error) {
	if err != nil {
		println(err.Error())
		syscall.Exit(125)
	}
}
