package supervisor

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// BenchmarkReap collects many children that have ended, per child.
func BenchmarkReap(b *testing.B) {
	const children = 200
	attr := &syscall.ProcAttr{}
	for i := 0; i < b.N; i += children {
		b.StopTimer()
		for range children {
			pid, err := syscall.ForkExec("/bin/true", []string{"true"}, attr)
			if err != nil {
				b.Fatal(err)
			}
			unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}
		s := &Supervisor{}
		b.StartTimer()
		if s.collect(); s.reaped != children || !s.childless {
			b.Fatal(s.reaped)
		}
	}
}

// BenchmarkSettle moves on many jobs that are found to be empty at once, per job.
func BenchmarkSettle(b *testing.B) {
	const jobs = 1000
	exit := protocol.NewEvent(protocol.Exited, 1, 0, 0)
	ended := 0
	for i := 0; i < b.N; i += jobs {
		b.StopTimer()
		s := &Supervisor{jobs: map[int]*Job{}, watched: map[int]*Job{}, alive: jobs, childless: true}
		s.Tell = func(e Event) {
			if e.Kind == JobEnded {
				ended++
			}
		}
		for pid := range jobs {
			j := &Job{Spec: Spec{Containment: lone{&group{}}}, s: s, main: pid + 1, exit: exit, place: -1}
			s.jobs[j.main] = j
			s.touch(j)
		}
		b.StartTimer()
		if s.settle(); s.alive != 0 {
			b.Fatal(s.alive)
		}
	}
	if ended < b.N {
		b.Fatalf("%d ended", ended)
	}
}

// BenchmarkSpawn is a job from Start to its record.
func BenchmarkSpawn(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}}
	for b.Loop() {
		s := &Supervisor{Signals: caught, Forward: true}
		if _, err := s.Start(Spec{Containment: lone{&group{}}, Path: "/bin/true", Argv: []string{"true"}, Attr: attr}); err != nil {
			b.Fatal(err)
		}
		if r := s.Run()[0]; r.Exit == nil {
			b.Fatal("it did not run")
		}
	}
}
